/** What a verdict costs; measured in a process of its own. */
import { join } from "node:path";
import { SERVER_CORE, outputOf, start, tell } from "../processes.ts";
import type { Row } from "../report.ts";

interface Figures {
  readonly p50: number;
  readonly p99: number;
}

interface Measured {
  readonly bytes: number;
  readonly cached: Figures;
  readonly cachedRetained: Figures;
  readonly uncached: Figures;
  readonly denied: Figures;
  readonly first: Figures;
  readonly parse: Figures;
}

const STATEMENTS = 100;

export async function policy(runs: number): Promise<Row[]> {
  const measured: Measured[] = [];
  for (let run = 0; run < runs; run++) {
    const script = join(import.meta.dirname, "policy-verdicts.ts");
    const child = start([process.execPath, script, `${STATEMENTS}`], { core: SERVER_CORE });
    measured.push(JSON.parse(await outputOf(child)) as Measured);
    tell(`policy: ${JSON.stringify(measured.at(-1))}`);
  }
  const row = (claim: string, unit: "ns" | "µs", of: (one: Measured) => Figures, must: Row["must"] = null): Row => {
    const per = unit === "ns" ? 1 : 1000;
    const peer = `p99 of batches ${(of(measured.at(-1)!).p99 / per).toFixed(1)}`;
    return { claim, unit, must, runs: measured.map((one) => of(one).p50 / per), peer };
  };
  return [
    row("policy verdict, cached, a connection with 8 topics", "ns", ({ cached }) => cached, { below: 200 }),
    row("… of a retained publish", "ns", ({ cachedRetained }) => cachedRetained, { below: 200 }),
    row(`… uncached, ${STATEMENTS} statements, the last allows it`, "µs", ({ uncached }) => uncached, { below: 20 }),
    row("… nothing allows it", "µs", ({ denied }) => denied, { below: 20 }),
    row("… first question of a connection: values filled in, compiled, decided", "µs", ({ first }) => first),
    row("… the document parsed and checked", "µs", ({ parse }) => parse),
  ];
}
