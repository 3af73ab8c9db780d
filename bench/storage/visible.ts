/** From the PUBACK of a reading to the first query that finds it, while many others are stored. */
import { startOurs } from "../broker/targets.ts";
import type { OurTarget } from "../broker/targets.ts";
import { pause, tell, withFolder } from "../processes.ts";
import { figure, median, quantile } from "../report.ts";
import type { Row } from "../report.ts";
import { MqttPipe, publishPacket } from "./mqtt-pipe.ts";

export interface VisibleOptions {
  readonly runs: number;
  readonly pointsPerSecond: number;
  readonly seconds: number;
}

const FIELDS = 4;
const CONNECTIONS = 8;
const PROBE_EVERY_MS = 100;
const GIVEN_UP_MS = 120_000;
/** Compilers and caches are warm after this. */
const WARM_UP_MS = 5_000;

export async function visible(options: VisibleOptions): Promise<Row[]> {
  const p99s: number[] = [];
  const p50s: number[] = [];
  for (let run = 0; run < options.runs; run++) {
    const delays = await withFolder(async (folder) => {
      const target = await startOurs(folder);
      try {
        return await measure(target, options);
      } finally {
        await target.platform.stop();
      }
    });
    const sorted = Float64Array.from(delays).toSorted();
    p50s.push(quantile(sorted, 0.5));
    p99s.push(quantile(sorted, 0.99));
    tell(`visible: ${sorted.length} probes, p50 ${figure(p50s.at(-1)!)} ms, p99 ${figure(p99s.at(-1)!)} ms`);
  }
  const claim = `acknowledged → visible in a query, p99 at ${figure(options.pointsPerSecond)} points/s`;
  return [{ claim, unit: "ms", must: { below: 1000 }, runs: p99s, peer: `p50 ${figure(median(p50s))}; open loop` }];
}

async function measure(
  { platform, address }: OurTarget,
  { pointsPerSecond, seconds }: VisibleOptions,
): Promise<number[]> {
  const perConnection = pointsPerSecond / FIELDS / CONNECTIONS;
  const open = (id: string): Promise<MqttPipe> => MqttPipe.open(address.host, address.port, id);
  const pipes = await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => open(`load-${i}`)));
  const probe = await open("probe");
  const load = Promise.all(
    pipes.map((pipe, i) => pipe.publishPaced(packetsOf(i, perConnection * seconds), perConnection)),
  );
  const over = new AbortController();
  void load.then(() => over.abort());
  const delays: number[] = [];
  const startedAt = performance.now();
  for (let n = 1; !over.signal.aborted; n++) {
    await probe.publish([publishPacket({ topic: "telemetry/probe/n", payload: `{"n":${n}}` }, n)]);
    const acknowledgedAt = performance.now();
    while ((await newest(platform)) < n) {
      if (performance.now() - acknowledgedAt > GIVEN_UP_MS)
        throw new Error(`reading ${n} was acknowledged and is never seen`);
      await pause(5);
    }
    if (acknowledgedAt - startedAt > WARM_UP_MS) delays.push(performance.now() - acknowledgedAt);
    await pause(PROBE_EVERY_MS);
  }
  await load;
  for (const pipe of [...pipes, probe]) pipe.close();
  return delays;
}

async function newest(platform: OurTarget["platform"]): Promise<number> {
  const from = String(Date.now() - 600_000);
  const query = new URLSearchParams({
    thing: "probe",
    measurement: "n",
    fields: "n",
    from,
    window: "1h",
    aggregate: "last",
  });
  const found = await platform.api<{ series: readonly { readonly values: readonly number[] }[] }>(
    "GET",
    `/api/series?${query.toString()}`,
  );
  return found.series[0]?.values.at(-1) ?? 0;
}

function packetsOf(connection: number, count: number): Buffer[] {
  return Array.from({ length: Math.ceil(count) }, (_, i) => {
    const device = `device-${connection}-${i % 125}`;
    const payload = `{"temperature":${(20 + (i % 97) / 10).toFixed(1)},"humidity":${40 + (i % 31)},"pressure":${1000 + (i % 13)},"power":${(i % 501) / 10}}`;
    return publishPacket({ topic: `telemetry/${device}/climate`, payload }, i);
  });
}
