/** The parts of a benchmark, run in the order in which they are named, as one table. */
import { machine } from "./machine.ts";
import { tableOf } from "./report.ts";
import type { Row } from "./report.ts";

export type Parts = Readonly<Record<string, () => Promise<Row[]>>>;

/** Writes the table, and the machine before and after. */
export async function runParts(parts: Parts, names: readonly string[]): Promise<void> {
  const before = machine();
  const rows: Row[] = [];
  for (const name of names.length === 0 ? Object.keys(parts) : names) rows.push(...(await parts[name]!()));
  process.stdout.write(`${tableOf(rows)}\n\nbefore: ${before}; after: ${machine()}\n`);
}
