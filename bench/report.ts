/** One table for all claims: what was promised, what was measured, and how much the runs differ. */

export interface Row {
  readonly claim: string;
  readonly unit: string;
  /** The promise: at least or at most so much; null where a number only explains another. */
  readonly must: { readonly atLeast: number } | { readonly below: number } | null;
  /** One number per run. */
  readonly runs: readonly number[];
  /** The same measurement of another program in the same run, or what else a reader must know. */
  readonly peer?: string;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** `q` in [0, 1]; nearest rank. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

/** Two or three significant digits after the point, thousands apart. */
export function figure(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString("en-GB", { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

export function tableOf(rows: readonly Row[]): string {
  const lines = [
    ["claim", "must", "measured (median)", "min–max", "runs", "", "beside it"],
    ...rows.map((row) => [
      row.claim,
      promise(row),
      `${figure(median(row.runs))} ${row.unit}`,
      `${figure(Math.min(...row.runs))}–${figure(Math.max(...row.runs))}`,
      String(row.runs.length),
      row.must === null ? "" : kept(row) ? "met" : "MISSED",
      row.peer ?? "",
    ]),
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const text = lines.map((line) => `| ${line.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`);
  text.splice(1, 0, `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
  return text.join("\n");
}

function promise({ must, unit }: Row): string {
  if (must === null) return "";
  return "atLeast" in must ? `≥ ${figure(must.atLeast)} ${unit}` : `< ${figure(must.below)} ${unit}`;
}

function kept({ must, runs }: Row): boolean {
  if (must === null) return true;
  return "atLeast" in must ? median(runs) >= must.atLeast : median(runs) < must.below;
}
