/** How long a message takes at half of what the broker can do, from the time when it was due to the subscriber, QoS 1, durable. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CLIENT_CORE, outputOf, start, stop, tell, withFolder } from "../processes.ts";
import { figure } from "../report.ts";
import type { Row } from "../report.ts";
import { startOurs } from "./targets.ts";
import { capacity } from "./throughput.ts";

export interface PacedRequest {
  readonly host: string;
  readonly port: number;
  readonly publishers: number;
  /** Messages per second, all publishers together. */
  readonly rate: number;
  readonly seconds: number;
  /** Bytes. */
  readonly payload: number;
}

/** Milliseconds. */
export interface Latencies {
  readonly messages: number;
  readonly lost: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** `capacitySeconds`: for finding out what half is. */
export async function halfLoad(seconds: number, capacitySeconds: number): Promise<Row[]> {
  const rate = Math.round((await capacity(capacitySeconds)) / 2);
  tell(`half load is ${rate} messages per second`);
  return withFolder(async (folder) => {
    const { process: server, address } = await startOurs(folder);
    const request: PacedRequest = { ...address, publishers: 100, rate, seconds, payload: 100 };
    const path = join(folder, "paced.json");
    await writeFile(path, JSON.stringify(request));
    const script = join(import.meta.dirname, "paced-load.ts");
    const found = JSON.parse(
      await outputOf(start([process.execPath, script, path], { core: CLIENT_CORE })),
    ) as Latencies;
    await stop(server);
    tell(`half load: ${JSON.stringify(found)}`);
    if (found.lost > 0) throw new Error(`${found.lost} messages did not arrive`);
    return [
      {
        claim: `fan-in 100 → 1, QoS 1, durable, p99 at half load, ${seconds} s`,
        unit: "ms",
        must: { below: 5 },
        runs: [found.p99],
        peer: `${figure(rate)} msg/s, open loop; p50 ${figure(found.p50)}, p99.9 ${figure(found.p999)}, max ${figure(found.max)}`,
      },
    ];
  });
}
