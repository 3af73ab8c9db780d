/** A million subscriptions: how long a topic takes to find its subscribers. The broker's core alone, in a process of its own. */
import { join } from "node:path";
import { ROOT, SERVER_CORE, outputOf, start, tell } from "../processes.ts";
import type { Row } from "../report.ts";

interface Figures {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

interface Measured {
  readonly cold: Figures;
  readonly cached: Figures;
  readonly churned: Figures;
  readonly subscribe: Figures;
  readonly unsubscribe: Figures;
  readonly bytesInTree: number;
  readonly bytesOfSubscription: number;
}

export async function match(runs: number): Promise<Row[]> {
  const script = join(ROOT, "src/broker/subscription-tree.bench.ts");
  const measured: Measured[] = [];
  for (let run = 0; run < runs; run++) {
    const child = start([process.execPath, "--expose-gc", script, "--json"], { core: SERVER_CORE });
    measured.push(JSON.parse(await outputOf(child)) as Measured);
    tell(`match: ${JSON.stringify(measured.at(-1))}`);
  }
  const row = (claim: string, of: (one: Measured) => Figures, must: Row["must"] = null): Row => {
    const last = of(measured.at(-1)!);
    const peer = `p50 ${last.p50.toFixed(2)}, max ${last.max.toFixed(0)}`;
    return { claim, unit: "µs", must, runs: measured.map((one) => of(one).p99), peer };
  };
  return [
    row("1,000,000 subscriptions, 10 % wildcards: match p99, cold", ({ cold }) => cold, { below: 20 }),
    row("… route from the cache", ({ cached }) => cached),
    row("… unsubscribe, and a cached route after each", ({ churned }) => churned),
    row("… subscribe", ({ subscribe }) => subscribe),
    row("… unsubscribe", ({ unsubscribe }) => unsubscribe),
    {
      claim: "… memory of one subscription",
      unit: "bytes",
      must: null,
      runs: measured.map(({ bytesInTree, bytesOfSubscription }) => bytesInTree + bytesOfSubscription),
      peer: `${measured.at(-1)!.bytesInTree.toFixed(0)} of them in the tree`,
    },
  ];
}
