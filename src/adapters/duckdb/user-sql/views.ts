/**
 * What a user's SQL sees, as views over Parquet files that lie in one folder. The only place that knows how our tables and
 * files become the relations of docs/reference/query.md.
 */
import { RETIRED, ROLLUPS } from "../../../telemetry/mod.ts";
import type { Rollup } from "../../../telemetry/mod.ts";
import type { PointKind } from "../cold-files.ts";
import { UNIFYING, pointsIn, quoted } from "../layout.ts";
import { mergedRollup, numbersAsRollup, textsAsRollup, unpackedRollup } from "../rollup.ts";
import type { UserRelation } from "./statement.ts";

/** One view for the asking process to make. `sql` names files of its folder as `$FOLDER/…`. */
export interface UserView {
  readonly name: string;
  readonly sql: string;
}

/** Files of the asker's folder, by what they hold. */
export interface UserFiles {
  readonly series: readonly string[];
  /** Rows of tables. */
  readonly numbers: readonly string[];
  readonly texts: readonly string[];
  /** Empty where it is not read. */
  readonly cold: ColdNames;
}

/** Of each kind of `cold-files.ts`; and the points that minutes are made of where no file of minutes has them. */
export type ColdNames = Readonly<
  Record<PointKind | "numbersWithoutMinutes" | "textsWithoutMinutes", readonly string[]>
>;

const FOLDER = "$FOLDER/";
/** Not among the relations that a user may name. */
const NAMES = "tidewire_series";

/** Views that another one needs come before it. */
export function userViews(relations: ReadonlySet<UserRelation>, files: UserFiles): readonly UserView[] {
  const views: UserView[] = [
    { name: NAMES, sql: `SELECT * FROM ${parquet(files.series)} WHERE thing <> ${quoted(RETIRED)}` },
  ];
  if (relations.has("series")) {
    views.push({ name: "series", sql: `SELECT thing, measurement, field, type FROM ${NAMES}` });
  }
  if (relations.has("telemetry")) views.push({ name: "telemetry", sql: telemetry(files) });
  for (const rollup of ROLLUPS) {
    const name = rollupOf(rollup);
    if (relations.has(name)) views.push({ name, sql: rolledUp(rollup, files) });
  }
  return views;
}

export function rollupOf(rollup: Rollup): UserRelation {
  return `rollups_${rollup}`;
}

/** Messages as they were archived; docs/internals/archive.md says what each column means. */
export function eventsView(files: readonly string[]): UserView {
  const nothing = EVENT_TYPES.map(([name, type]) => `NULL::${type} AS "${name}"`).join(", ");
  const sql = files.length === 0 ? `SELECT * FROM (SELECT ${nothing}) WHERE false` : `SELECT * FROM ${parquet(files)}`;
  return { name: "events", sql };
}

/** Of files of events, in their order. */
const EVENT_TYPES = [
  ["offset", "BIGINT"],
  ["time", "TIMESTAMPTZ"],
  ["topic", "VARCHAR"],
  ["thing", "VARCHAR"],
  ["client", "VARCHAR"],
  ["qos", "TINYINT"],
  ["retain", "BOOLEAN"],
  ["text", "VARCHAR"],
  ["payload", "BLOB"],
  ["content_type", "VARCHAR"],
  ["response_topic", "VARCHAR"],
  ["correlation", "BLOB"],
  ["user_properties", "STRUCT(name VARCHAR, value VARCHAR)[]"],
  ["payload_format", "TINYINT"],
  ["expires_after", "BIGINT"],
  ["outbox", "VARCHAR"],
  ["sequence", "BIGINT"],
] as const;

/** One of NDJSON in the asker's folder, written by the platform: the registry is not the store's. */
export function thingsView(file: string): UserView {
  return {
    name: "things",
    sql:
      `SELECT * FROM read_json(${quoted(FOLDER + file)}, format = 'newline_delimited', columns = {thing: 'VARCHAR', type: 'VARCHAR', ` +
      "attributes: 'MAP(VARCHAR, VARCHAR)', created: 'TIMESTAMPTZ', state: 'VARCHAR', last_seen: 'TIMESTAMPTZ'})",
  };
}

/** The view's statement with the folder's real path in place. */
export function viewStatement({ name, sql }: UserView, folder: string): string {
  return `CREATE VIEW ${name} AS ${sql.replaceAll(`'${FOLDER}`, () => `'${quoted(folder).slice(1, -1)}/`)}`;
}

function telemetry(files: UserFiles): string {
  const select = (kind: "numbers" | "texts", value: string, text: string): string =>
    `SELECT ${timestamp("p.time")} AS time, s.thing, s.measurement, s.field, s.type, ${value} AS value, ${text} AS text ` +
    `FROM (${points(kind, files)}) p JOIN ${NAMES} s ON s.id = p.series`;
  return `${select("numbers", "p.value", "NULL::VARCHAR")} UNION ALL ${select("texts", "NULL::DOUBLE", "p.value")}`;
}

function rolledUp(rollup: Rollup, files: UserFiles): string {
  const parts = [
    numbersAsRollup(rollup, hot("numbers", files)),
    textsAsRollup(rollup, hot("texts", files)),
    ...(files.cold[rollup].length > 0 ? [unpackedRollup(parquet(files.cold[rollup]), false)] : []),
    ...(rollup === "1m" ? withoutMinutes(files.cold) : []),
  ];
  return (
    `SELECT ${timestamp("r.bucket")} AS time, s.thing, s.measurement, s.field, s.type, r.count, r.sum, r.sum / r.count AS avg, ` +
    `r.min, r.max, r.first, ${timestamp("r.first_time")} AS first_time, r.last, ${timestamp("r.last_time")} AS last_time, ` +
    `r.first_text, r.last_text FROM (${mergedRollup(parts.join(" UNION ALL "))}) r JOIN ${NAMES} s ON s.id = r.series`
  );
}

function withoutMinutes({ numbersWithoutMinutes: numbers, textsWithoutMinutes: texts }: ColdNames): readonly string[] {
  return [
    ...(numbers.length > 0 ? [numbersAsRollup("1m", coldPoints("numbers", numbers))] : []),
    ...(texts.length > 0 ? [textsAsRollup("1m", coldPoints("texts", texts))] : []),
  ];
}

function points(kind: "numbers" | "texts", files: UserFiles): string {
  const cold = files.cold[kind];
  return cold.length === 0 ? hot(kind, files) : `${hot(kind, files)} UNION ALL ${coldPoints(kind, cold)}`;
}

function hot(kind: "numbers" | "texts", files: UserFiles): string {
  return `SELECT series, time, value, arrival FROM ${parquet(files[kind])}`;
}

function timestamp(milliseconds: string): string {
  return `make_timestamptz(${milliseconds} * 1000)`;
}

function coldPoints(kind: "numbers" | "texts", files: readonly string[]): string {
  return pointsIn(parquet(files, `, file_row_number = true${kind === "numbers" ? UNIFYING : ""}`), kind);
}

function parquet(files: readonly string[], options = ""): string {
  return `read_parquet([${files.map((file) => quoted(FOLDER + file)).join(", ")}]${options})`;
}
