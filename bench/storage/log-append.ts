/** Durable records per second: the log's own benchmark, in a process of its own on both cores. */
import { join } from "node:path";
import { ROOT, outputOf, start, tell } from "../processes.ts";
import type { Row } from "../report.ts";

const RECORDS = 3_000_000;
const BYTES = 200;

export async function logAppend(runs: number): Promise<Row[]> {
  const rates: number[] = [];
  for (let run = 0; run < runs; run++) {
    const script = join(ROOT, "src/log/log.bench.ts");
    const output = await outputOf(
      start(["taskset", "-c", "0,1", process.execPath, script, String(RECORDS), String(BYTES)]),
    );
    tell(output.trim());
    const found = /^with two consumers: ([\d,]+) records\/s durable/m.exec(output)?.[1];
    if (found === undefined) throw new Error(`no rate in: ${output}`);
    rates.push(Number(found.replaceAll(",", "")));
  }
  const claim = `log append, durable, ${BYTES}-byte records, two consumers`;
  return [{ claim, unit: "records/s", must: { atLeast: 500_000 }, runs: rates, peer: "a sync per batch" }];
}
