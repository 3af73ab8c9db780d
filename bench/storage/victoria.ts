/** VictoriaMetrics 1.79 from Debian: writes are acknowledged from memory and reach the disk a second or more later. */
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import { SERVER_CORE, start, stop } from "../processes.ts";
import { lineProtocol } from "./dataset.ts";
import type { DataSet } from "./dataset.ts";
import { answering, unchanging } from "./influxdb.ts";
import { WINDOW, answerOf, bytesBelow, fetched } from "./store.ts";
import type { Answer, Store } from "./store.ts";

interface Found {
  readonly data: {
    readonly result: readonly {
      readonly values?: readonly (readonly [number, string])[];
      readonly value?: readonly [number, string];
    }[];
  };
}

export async function startVictoria(folder: string): Promise<Store> {
  const port = await freePort();
  const data = join(folder, "victoria");
  const flags = [
    `-storageDataPath=${data}`,
    `-httpListenAddr=127.0.0.1:${port}`,
    "-retentionPeriod=100y",
    "-search.maxPointsPerTimeseries=1000000",
    "-search.latencyOffset=0s",
    "-search.disableCache",
  ];
  const child = start(["victoria-metrics", ...flags], { core: SERVER_CORE, stdout: "ignore", stderr: "ignore" });
  const at = `http://127.0.0.1:${port}`;
  await answering(`${at}/health`);
  const range = async (query: string, from: number, to: number, step: number): Promise<Answer> => {
    const parameters = { query, start: String(from / 1000), end: String(to / 1000), step: `${step}ms` };
    const response = await fetched(`${at}/api/v1/query_range?${new URLSearchParams(parameters).toString()}`);
    const { data: found } = (await response.json()) as Found;
    return answerOf(found.result.flatMap(({ values = [] }) => values.map(([, value]) => Number(value))));
  };
  return {
    name: "victoria",
    durability: "in memory, on disk some seconds later",
    process: child,
    prepare(dataSet) {
      const bodies = [...lineProtocol(dataSet)];
      return Promise.resolve(async () => {
        for (const body of bodies) await fetched(`${at}/write?precision=ms`, { method: "POST", body });
      });
    },
    async visible() {
      await fetched(`${at}/internal/force_flush`);
    },
    async settle() {
      await fetched(`${at}/internal/force_merge`);
      await unchanging(() => bytesBelow(data));
    },
    bytes: () => bytesBelow(data),
    // A value at time t stands for (t - window, t]: half a millisecond earlier there is no reading, so the windows are ours.
    averages: (set, device, field) =>
      range(
        `avg_over_time(${set.measurement}_${field}{device="${device}"}[${WINDOW}ms])`,
        set.from + WINDOW - 1,
        Math.ceil((set.to - set.from) / WINDOW) * WINDOW + set.from - 1,
        WINDOW,
      ),
    async byDevice(set: DataSet) {
      const query = `avg_over_time({__name__=~"${set.measurement}_.*"}[${set.to - set.from}ms])`;
      const parameters = new URLSearchParams({ query, time: String((set.to - 1) / 1000) });
      const response = await fetched(`${at}/api/v1/query?${parameters.toString()}`);
      const { data: found } = (await response.json()) as Found;
      return answerOf(found.result.map(({ value }) => Number(value?.[1])));
    },
    drawn(set, device, field, pixels) {
      const step = Math.ceil((set.to - set.from) / pixels);
      const what = `${set.measurement}_${field}{device="${device}"}[${step}ms]`;
      const both = ["min", "max"].map((each) => `label_set(${each}_over_time(${what}), "of", "${each}")`);
      return range(`union(${both.join(", ")})`, set.from + step - 1, set.from + step * pixels - 1, step);
    },
    stop: () => stop(child),
  };
}
