/** How soon the platform is ready, and how much memory it and its first device keep. */
import { join } from "node:path";
import { memoryOf, pause, startPlatform, tell, treeOf, withFolder } from "./processes.ts";
import type { Memory } from "./processes.ts";
import { figure, median } from "./report.ts";
import type { Row } from "./report.ts";

export async function readiness(runs: number): Promise<Row[]> {
  const first: number[] = [];
  const second: number[] = [];
  for (let run = 0; run < runs; run++) {
    await withFolder(async (folder) => {
      for (const list of [first, second]) {
        const platform = await startPlatform(join(folder, "data"), { flags: ["--first-device"] });
        list.push(platform.readyAfterMs / 1000);
        await platform.stop();
      }
    });
  }
  tell(`ready after: first ${JSON.stringify(first)}, second ${JSON.stringify(second)}`);
  const peer = "from spawn to the ready line; sources compiled before, as `npm start` does";
  return [
    { claim: "platform ready, first start (makes its CA)", unit: "s", must: { below: 2 }, runs: first, peer },
    { claim: "platform ready, second start", unit: "s", must: { below: 1 }, runs: second },
  ];
}

export async function memory(runs: number, seconds: number): Promise<Row[]> {
  const samples: Memory[][] = [];
  for (let run = 0; run < runs; run++) {
    await withFolder(async (folder) => {
      const platform = await startPlatform(join(folder, "data"), { flags: ["--first-device"] });
      await pause(seconds * 1000);
      const all = treeOf(platform.pid).map((pid) => memoryOf(pid));
      for (const each of all)
        tell(`${each.command.split("/").at(-1)}: RSS ${figure(each.rss)} PSS ${figure(each.pss)}`);
      if (all.length !== 3) throw new Error(`expected platform, store and agent, found ${all.length} processes`);
      samples.push(all);
      await platform.stop();
    });
  }
  const isAgent = ({ command }: Memory): boolean => command.includes(" agent ");
  const sum = (all: readonly Memory[], key: "rss" | "pss"): number => all.reduce((total, each) => total + each[key], 0);
  const agents = samples.map((all) => all.find(isAgent)!);
  const pss = (values: readonly number[]): string => `PSS ${figure(median(values))} MiB`;
  return [
    {
      claim: `memory of all processes with one agent, after ${seconds} s`,
      unit: "MiB RSS",
      must: { below: 250 },
      runs: samples.map((all) => sum(all, "rss")),
      peer: pss(samples.map((all) => sum(all, "pss"))),
    },
    {
      claim: `memory of the agent, after ${seconds} s`,
      unit: "MiB RSS",
      must: { below: 80 },
      runs: agents.map(({ rss }) => rss),
      peer: pss(agents.map((agent) => agent.pss)),
    },
  ];
}
