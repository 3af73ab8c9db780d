/** The real platform: what devices publish over MQTT at QoS 1, asked for over HTTP. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startOurs } from "../broker/targets.ts";
import { pause } from "../processes.ts";
import type { Platform } from "../processes.ts";
import type { DataSet } from "./dataset.ts";
import { unchanging } from "./influxdb.ts";
import { MqttPipe, publishPacket } from "./mqtt-pipe.ts";
import { WINDOW, answerOf, bytesBelow } from "./store.ts";
import type { Answer, Store } from "./store.ts";

const CONNECTIONS = 8;
const COMPACTED_AFTER_MS = 10_000;

interface Series {
  readonly series: readonly { readonly values: readonly number[] }[];
}

export async function startTidewire(folder: string): Promise<Store> {
  // What is seconds old goes into files; an hour by default, and nobody waits that long here.
  const limit = ["--limit", `telemetry.generationAgeMax=${COMPACTED_AFTER_MS}ms`];
  // A year of points is there for those who keep them so long.
  const config = join(folder, "tidewire.yaml");
  await writeFile(config, "telemetryRetention: raw forever\n");
  const { platform, address } = await startOurs(folder, [...limit, "--config", config]);
  const series = async (parameters: Readonly<Record<string, string>>): Promise<Answer> => {
    const found = await platform.api<Series>("GET", `/api/series?${new URLSearchParams(parameters).toString()}`);
    return answerOf(found.series.flatMap(({ values }) => values));
  };
  const what = (set: DataSet, thing: string, fields: string): Record<string, string> => ({
    thing,
    measurement: set.measurement,
    fields,
    from: String(set.from),
    to: String(set.to),
  });
  let stored = 0;
  return {
    name: "tidewire",
    durability: "on disk before each PUBACK (fdatasync per batch)",
    process: platform.child,
    async prepare(set) {
      const packets = packetsOf(set);
      const pipes = await Promise.all(
        packets.map((_, i) => MqttPipe.open(address.host, address.port, `loader-${set.measurement}-${i}`)),
      );
      return async () => {
        await Promise.all(pipes.map((pipe, i) => pipe.publish(packets[i]!)));
        for (const pipe of pipes) pipe.close();
      };
    },
    async visible(set) {
      stored += set.points;
      while ((await metric(platform, "tidewire_store_rows")) < stored) await pause(100);
    },
    async settle() {
      await pause(COMPACTED_AFTER_MS);
      const rowsInFiles = (): Promise<number> => metric(platform, 'tidewire_store_file_rows{level="raw"}');
      for (let n = 0; (await rowsInFiles()) < stored; n++) {
        // A generation is looked at when something is committed.
        const pipe = await MqttPipe.open(address.host, address.port, "clock");
        await pipe.publish([publishPacket({ topic: "telemetry/clock/tick", payload: `{"n":${n}}` }, 0)]);
        pipe.close();
        await pause(1_000);
      }
      await unchanging(() => bytesBelow(join(platform.dataDir, "telemetry")), 2);
    },
    bytes: () => bytesBelow(join(platform.dataDir, "telemetry")),
    averages: (set, device, field) => series({ ...what(set, device, field), window: `${WINDOW}ms`, aggregate: "avg" }),
    byDevice: ({ measurement, from, to }) =>
      series({ things: "*", measurement, from: String(from), to: String(to), window: "all", aggregate: "avg" }),
    async byDeviceInSql(set) {
      const sql =
        "SELECT thing, field, avg(value) FROM telemetry WHERE measurement = $measurement GROUP BY thing, field";
      const parameters = { measurement: set.measurement };
      const { rows } = await platform.api<{ rows: readonly (readonly [string, string, number])[] }>(
        "POST",
        "/api/query",
        {
          sql,
          parameters,
        },
      );
      return answerOf(rows.map(([, , value]) => value));
    },
    drawn: (set, device, field, pixels) => series({ ...what(set, device, field), points: String(pixels) }),
    stop: () => platform.stop(),
  };
}

/** Per connection: each device's readings over one of them, in order. */
function packetsOf({ measurement, fields, devices, readings }: DataSet): Buffer[][] {
  const connections = Math.min(CONNECTIONS, devices.length);
  const packets: Buffer[][] = Array.from({ length: connections }, () => []);
  const at = new Map(devices.map((device, i) => [device, packets[i % connections]!]));
  for (const { device, time, values } of readings()) {
    const own = at.get(device)!;
    const pairs = fields.map((field, i) => `"${field}":${values[i]}`).join(",");
    own.push(
      publishPacket({ topic: `telemetry/${device}/${measurement}`, payload: `{"ts":${time},${pairs}}` }, own.length),
    );
  }
  return packets;
}

/** `name` with its labels, as it stands in a line. */
async function metric({ http, adminToken }: Platform, name: string): Promise<number> {
  const response = await fetch(`${http}/metrics`, { headers: { authorization: `Bearer ${adminToken}` } });
  const line = (await response.text()).split("\n").find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}
