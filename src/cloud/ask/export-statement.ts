/** What an export asks: all of one relation in a range of time, of some things. The same for the command line and for schedules. */
export const EXPORTED = ["telemetry", "rollups_1m", "rollups_1h", "rollups_1d", "events"] as const;
export type Exported = (typeof EXPORTED)[number];

export interface ExportRange {
  /** ISO 8601; half-open. Null: no border. */
  readonly from: string | null;
  readonly to: string | null;
  /** Names, with `*` for any part of one; empty: all. */
  readonly things: readonly string[];
  readonly measurements: readonly string[];
}

export interface ExportStatement {
  readonly sql: string;
  readonly parameters: Readonly<Record<string, string>>;
}

export function exportStatement(of: Exported, { from, to, things, measurements }: ExportRange): ExportStatement {
  const parameters: Record<string, string> = {};
  const conditions: string[] = [];
  if (from !== null) conditions.push("time >= $from::TIMESTAMPTZ");
  if (to !== null) conditions.push("time < $to::TIMESTAMPTZ");
  if (from !== null) parameters["from"] = from;
  if (to !== null) parameters["to"] = to;
  const oneOf = (column: string, patterns: readonly string[]): void => {
    if (patterns.length === 0) return;
    const tests = patterns.map((pattern, index) => {
      parameters[`${column}${index}`] = pattern.replaceAll(/[\\%_]/g, String.raw`\$&`).replaceAll("*", "%");
      return String.raw`${column} LIKE $${column}${index} ESCAPE '\'`;
    });
    conditions.push(`(${tests.join(" OR ")})`);
  };
  oneOf("thing", things);
  oneOf("measurement", of === "events" ? [] : measurements);
  const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
  return { sql: `SELECT * FROM ${of}${where}`, parameters };
}
