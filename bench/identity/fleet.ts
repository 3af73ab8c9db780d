/** Searching a fleet; measured in a process of its own, over an index that is filled first. */
import { join } from "node:path";
import { outputOf, start } from "../processes.ts";
import type { Row } from "../report.ts";

interface Measured {
  readonly kind: string;
  readonly p50: number;
  readonly p99: number;
  readonly found: number;
}

export async function fleet(things: number): Promise<Row[]> {
  const child = start([process.execPath, join(import.meta.dirname, "search.ts"), `${things}`, "--json"]);
  const measured = JSON.parse(await outputOf(child)) as Measured[];
  return measured.map(({ kind, p50, p99, found }) => ({
    claim: `search of ${things} things, ${kind}: p99`,
    unit: "ms",
    must: { below: 50 },
    runs: [p99],
    peer: `p50 ${p50.toFixed(1)}, finds ${found.toFixed(0)}`,
  }));
}
