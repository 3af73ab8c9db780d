/** Loading, size on disk and queries, the databases in turns. */
import { tell, withFolder } from "../processes.ts";
import { figure, median } from "../report.ts";
import type { Row } from "../report.ts";
import { fleet, year } from "./dataset.ts";
import type { DataSet } from "./dataset.ts";
import { startInflux } from "./influxdb.ts";
import { startPostgres } from "./postgresql.ts";
import type { Answer, Store, StoreName } from "./store.ts";
import { startTidewire } from "./tidewire.ts";
import { startVictoria } from "./victoria.ts";

export interface PeerOptions {
  readonly stores: readonly string[];
  readonly runs: number;
  readonly devices: number;
  readonly samples: number;
  readonly asked: number;
}

const STARTS: Readonly<Record<StoreName, (folder: string) => Promise<Store>>> = {
  tidewire: startTidewire,
  influxdb: startInflux,
  victoria: startVictoria,
  postgresql: startPostgres,
};
const PIXELS = 1_000;
/** One series is asked for so many times as often, each time another one: no database may know the answer from before. */
const SMALL = 10;
/** Devices are asked for in the order of its multiples: far from the one before. */
const STRIDE = 383;

/** What one run of one database gave. */
interface Result {
  readonly acknowledgedPerSecond: number;
  readonly queryablePerSecond: number;
  readonly bytesPerPoint: number;
  readonly yearBytesPerPoint: number;
  readonly averagesMs: number;
  readonly averagesFastestMs: number;
  readonly byDeviceMs: number;
  /** Of those that can be asked in two ways; else the same. */
  readonly byDeviceInSqlMs: number;
  readonly yearMs: number;
  readonly answers: Readonly<Record<"averages" | "byDevice" | "year", Answer>>;
}

export async function peers(options: PeerOptions): Promise<Row[]> {
  const results = new Map<StoreName, Result[]>();
  for (let run = 0; run < options.runs; run++) {
    for (const [name, open] of Object.entries(STARTS) as [StoreName, (folder: string) => Promise<Store>][]) {
      if (!options.stores.includes(name)) continue;
      const result = await withFolder(async (folder) => {
        const store = await open(folder);
        try {
          return await measure(store, options);
        } finally {
          await store.stop();
        }
      });
      tell(`${name}: ${JSON.stringify(result)}`);
      results.set(name, [...(results.get(name) ?? []), result]);
    }
  }
  sameAnswers(results);
  return rowsOf(results);
}

async function measure(store: Store, { devices, samples, asked }: PeerOptions): Promise<Result> {
  const [all, one] = [fleet(devices, samples), year()];
  const loaded = await load(store, all);
  await store.settle();
  const bytes = store.bytes();
  await load(store, one);
  await store.settle();
  const yearBytes = store.bytes() - bytes;
  const meter = one.devices[0]!;
  const averages = await timed(asked * SMALL, (n) => {
    const device = all.devices[(n * STRIDE + Math.floor(devices / 2)) % devices]!;
    return store.averages(all, device, all.fields[n % all.fields.length]!);
  });
  const byDevice = await timed(Math.min(asked, 7), () => store.byDevice(all));
  const inSql = store.byDeviceInSql?.bind(store);
  const byDeviceInSql = inSql === undefined ? byDevice : await timed(Math.min(asked, 7), () => inSql(all));
  const drawn = await timed(asked, () => store.drawn(one, meter, one.fields[0]!, PIXELS));
  return {
    ...loaded,
    bytesPerPoint: bytes / all.points,
    yearBytesPerPoint: yearBytes / one.points,
    averagesMs: averages.ms,
    averagesFastestMs: averages.fastest,
    byDeviceMs: byDevice.ms,
    byDeviceInSqlMs: byDeviceInSql.ms,
    yearMs: drawn.ms,
    answers: { averages: averages.answer, byDevice: byDevice.answer, year: drawn.answer },
  };
}

async function load(
  store: Store,
  data: DataSet,
): Promise<Pick<Result, "acknowledgedPerSecond" | "queryablePerSecond">> {
  const send = await store.prepare(data);
  const startedAt = performance.now();
  await send();
  const acknowledged = (performance.now() - startedAt) / 1000;
  await store.visible(data);
  const queryable = (performance.now() - startedAt) / 1000;
  return { acknowledgedPerSecond: data.points / acknowledged, queryablePerSecond: data.points / queryable };
}

/** The median and the least; the first time, with cold caches, is not counted. */
async function timed(
  asked: number,
  ask: (n: number) => Promise<Answer>,
): Promise<{ readonly ms: number; readonly fastest: number; readonly answer: Answer }> {
  const answer = await ask(0);
  const times: number[] = [];
  for (let i = 1; i < asked; i++) {
    const startedAt = performance.now();
    await ask(i);
    times.push(performance.now() - startedAt);
  }
  return { ms: median(times), fastest: Math.min(...times), answer };
}

/** Databases that answer differently were not asked the same. */
function sameAnswers(results: ReadonlyMap<StoreName, readonly Result[]>): void {
  for (const query of ["averages", "byDevice"] as const) {
    const given = [...results].map(([name, [first]]) => ({ name, answer: first!.answers[query] }));
    const [one, ...others] = given;
    for (const other of others) {
      const near = Math.abs(other.answer.sum - one!.answer.sum) <= 1 + Math.abs(one!.answer.sum) / 1e6;
      if (other.answer.size !== one!.answer.size || !near) throw new Error(`${query}: ${JSON.stringify([one, other])}`);
    }
  }
}

function rowsOf(results: ReadonlyMap<StoreName, readonly Result[]>): Row[] {
  const of = (name: StoreName, key: keyof Omit<Result, "answers">): number[] =>
    (results.get(name) ?? []).map((result) => result[key]);
  const others = (key: keyof Omit<Result, "answers">): string =>
    (["influxdb", "victoria", "postgresql"] as const)
      .filter((name) => results.has(name))
      .map((name) => `${name} ${figure(median(of(name, key)))}`)
      .join(", ");
  /** Of InfluxDB's figure; nothing where it was not asked. */
  const beside = (key: keyof Omit<Result, "answers">, must: (influx: number) => Row["must"]): Row["must"] =>
    results.has("influxdb") ? must(median(of("influxdb", key))) : null;
  const row = (claim: string, unit: string, key: keyof Omit<Result, "answers">, must: Row["must"]): Row => ({
    claim,
    unit,
    must,
    runs: of("tidewire", key),
    peer: others(key),
  });
  return [
    row("publish QoS 1 → durable", "points/s", "acknowledgedPerSecond", null),
    row("publish QoS 1 → durable → queryable", "points/s", "queryablePerSecond", { atLeast: 400_000 }),
    row(
      "the same as bulk load",
      "points/s",
      "queryablePerSecond",
      beside("queryablePerSecond", (influx) => ({ atLeast: influx })),
    ),
    row("bytes per point, fleet", "bytes", "bytesPerPoint", { below: 1.4 }),
    row("bytes per point, a year of one device", "bytes", "yearBytesPerPoint", { below: 1.4 }),
    row("one series, 5-minute averages", "ms", "averagesMs", { below: 5 }),
    row("… the fastest", "ms", "averagesFastestMs", null),
    row(
      "every field of every device, average",
      "ms",
      "byDeviceMs",
      beside("byDeviceMs", (influx) => ({ below: influx / 10 })),
    ),
    row("… as a user's SQL", "ms", "byDeviceInSqlMs", null),
    row("a year of one device at 1,000 pixels", "ms", "yearMs", { below: 50 }),
  ];
}
