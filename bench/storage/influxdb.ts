/** InfluxDB 1.6 from Debian, with its defaults; every write is synced to its log before it is acknowledged. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import { SERVER_CORE, pause, start, stop } from "../processes.ts";
import { lineProtocol } from "./dataset.ts";
import type { DataSet } from "./dataset.ts";
import { WINDOW, answerOf, bytesBelow, fetched } from "./store.ts";
import type { Answer, Store } from "./store.ts";

interface Found {
  readonly results: readonly {
    readonly error?: string;
    readonly series?: readonly { readonly values: readonly (readonly (number | null)[])[] }[];
  }[];
}

export async function startInflux(folder: string): Promise<Store> {
  const [port, rpc] = [await freePort(), await freePort()];
  const data = join(folder, "influxdb");
  await mkdir(data);
  const config = [
    "reporting-disabled = true",
    `bind-address = "127.0.0.1:${rpc}"`,
    `[meta]\ndir = "${data}/meta"`,
    // A quiet shard is compacted after this, so that its size on disk can be told.
    `[data]\ndir = "${data}/data"\nwal-dir = "${data}/wal"\nquery-log-enabled = false\ncompact-full-write-cold-duration = "5s"\ncache-snapshot-write-cold-duration = "5s"`,
    `[http]\nbind-address = "127.0.0.1:${port}"\nlog-enabled = false`,
    "[monitor]\nstore-enabled = false",
    "",
  ].join("\n");
  await writeFile(join(folder, "influxdb.conf"), config);
  const child = start(["influxd", "-config", join(folder, "influxdb.conf")], {
    core: SERVER_CORE,
    stdout: "ignore",
    stderr: "ignore",
  });
  const at = `http://127.0.0.1:${port}`;
  await answering(`${at}/ping`);
  await ask(at, "CREATE DATABASE bench WITH DURATION INF SHARD DURATION 5200w");
  const values = async (q: string): Promise<Answer> => {
    const { results } = await ask(at, q);
    const rows = (results[0]?.series ?? []).flatMap((series) => series.values);
    return answerOf(rows.flatMap((row) => row.slice(1)).filter((value) => value !== null));
  };
  const span = ({ from, to }: DataSet): string => `time >= ${from}ms AND time < ${to}ms`;
  return {
    name: "influxdb",
    durability: "its log synced per request of 5,000 readings",
    process: child,
    prepare(dataSet) {
      const bodies = [...lineProtocol(dataSet)];
      return Promise.resolve(async () => {
        for (const body of bodies) await fetched(`${at}/write?db=bench&precision=ms`, { method: "POST", body });
      });
    },
    visible: () => Promise.resolve(), // at once
    async settle() {
      await unchanging(() => bytesBelow(data));
    },
    bytes: () => bytesBelow(join(data, "data")),
    averages: (set, device, field) =>
      values(
        `SELECT mean(${field}) FROM ${set.measurement} WHERE device = '${device}' AND ${span(set)} GROUP BY time(${WINDOW}ms)`,
      ),
    byDevice: (set) => values(`SELECT mean(*) FROM ${set.measurement} WHERE ${span(set)} GROUP BY device`),
    drawn: (set, device, field, pixels) =>
      values(
        `SELECT min(${field}), max(${field}) FROM ${set.measurement} WHERE device = '${device}' AND ${span(set)} GROUP BY time(${Math.ceil((set.to - set.from) / pixels)}ms)`,
      ),
    stop: () => stop(child),
  };
}

async function ask(at: string, q: string): Promise<Found> {
  const response = await fetched(`${at}/query?db=bench&epoch=ms`, { method: "POST", body: new URLSearchParams({ q }) });
  const found = (await response.json()) as Found;
  const error = found.results[0]?.error;
  if (error !== undefined) throw new Error(`${q}: ${error}`);
  return found;
}

export async function answering(url: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const there = await fetch(url).catch(() => null);
    if (there?.ok === true) return;
    await pause(50);
  }
  throw new Error(`${url} does not answer; is the program installed?`);
}

/** Until two looks, two seconds apart and some of them in a row, find the same. */
export async function unchanging(look: () => number, inARow = 4, most = 60): Promise<void> {
  let last = look();
  let same = 0;
  for (let i = 0; i < most && same < inARow; i++) {
    await pause(2_000);
    const now = look();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}
