/**
 * Bytes per point on disk, what compaction costs, and how long commits and queries wait while it runs.
 * Run: node src/adapters/duckdb/compaction.bench.ts [year]
 */
import { setPriority } from "node:os";
import { LIMITS, days, mib, minutes, seconds } from "../../base/mod.ts";
import { DEFAULT_RETENTION, LEVELS, PointBatch } from "../../telemetry/mod.ts";
import { SimLogger, SimRandom } from "../../../sim/world.ts";
import { systemClock, systemScheduler } from "../system.ts";
import { DuckStore } from "./duck-store.ts";
import { START, StoreFolder, compacted } from "./store.scenario.ts";

const FIELDS = ["celsius", "humidity", "hectopascal", "volt"];

function say(what: string, value: string): void {
  process.stdout.write(`${what.padEnd(58)} ${value}\n`);
}

async function pause(delay: number): Promise<void> {
  await new Promise<void>((resolve) => systemScheduler.after(delay, resolve));
}

/** A value that drifts and is read with one decimal, as sensors do. */
class Sensor {
  readonly #random: SimRandom;
  readonly #from: number;
  #value: number;

  constructor(seed: number) {
    this.#random = new SimRandom(seed);
    this.#from = 20 + this.#random.below(60);
    this.#value = this.#from;
  }

  next(): number {
    this.#value += (this.#random.next() - 0.5) * 0.4 + (this.#from - this.#value) * 0.01;
    return Math.round(this.#value * 10) / 10;
  }
}

interface Load {
  readonly things: number;
  readonly samples: number;
  readonly every: number;
  /** Largest delay of a reading against its beat. */
  readonly jitter: number;
}

async function run(title: string, { things, samples, every, jitter }: Load): Promise<void> {
  say(`── ${title}`, "");
  const folder = await StoreFolder.make();
  const logger = new SimLogger();
  const start = START - days(400);
  const store = await DuckStore.open({
    path: folder.path,
    folder: folder.coldPath,
    memoryBytes: LIMITS.telemetry.databaseBytesMax,
    clock: { now: () => start + samples * every + days(2), monotonic: () => systemClock.monotonic() },
    logger,
    limits: {
      ...LIMITS.telemetry,
      generationRowsMax: Math.min(LIMITS.telemetry.generationRowsMax, things * samples * 4),
    },
    retention: DEFAULT_RETENTION,
    room: { diskShare: 0.5 },
    scheduler: systemScheduler,
  });
  const random = new SimRandom(5);
  const sensors = Array.from({ length: things * FIELDS.length }, (_, i) => new Sensor(i));
  const batch = new PointBatch();
  let points = 0;
  const commits: number[] = [];
  const flush = async (): Promise<void> => {
    const at = performance.now();
    points += batch.rows;
    await store.commit({ points: batch, sequences: [], offset: points });
    commits.push(performance.now() - at);
    batch.clear();
  };
  for (let n = 0; n < samples; n++) {
    for (let thing = 0; thing < things; thing++) {
      const handle = store.series.measurement(`press-${thing}`, "climate");
      const time = start + n * every + (jitter === 0 ? 0 : random.below(jitter));
      for (const [i, field] of FIELDS.entries()) {
        batch.add(store.series.resolve(handle, field, "number"), time, sensors[thing * FIELDS.length + i]!.next());
      }
    }
    if (batch.rows >= 100_000) await flush();
  }
  if (batch.rows > 0) await flush();
  say("commits of 100,000 rows, slowest", `${Math.max(...commits).toFixed(0)} ms`);
  const cpu = process.cpuUsage();
  const at = performance.now();
  const during: number[] = [];
  const queries: number[] = [];
  const beside = { goesOn: true };
  const work = (async () => {
    while (beside.goesOn) {
      for (let i = 0; i < 2_000; i++) batch.add(i % store.series.size, start + i, 1);
      const from = performance.now();
      await store.commit({ points: batch, sequences: [], offset: ++points });
      during.push(performance.now() - from);
      batch.clear();
      const asked = performance.now();
      await store.query({
        thing: "press-0",
        measurement: null,
        fields: null,
        from: start + (samples - 60) * every,
        to: start + samples * every,
        window: null,
        aggregate: null,
        limit: 1000,
      });
      queries.push(performance.now() - asked);
      await pause(50);
    }
  })();
  await compacted(store, () => pause(10));
  const elapsed = performance.now() - at;
  beside.goesOn = false;
  await work;
  const used = process.cpuUsage(cpu);
  say(
    "compaction, CPU of the process meanwhile",
    `${elapsed.toFixed(0)} ms, ${((used.user + used.system) / 1000).toFixed(0)} ms`,
  );
  const worst = (times: readonly number[]): string =>
    `${[...times].toSorted((a, b) => a - b)[times.length >> 1]!.toFixed(1)} / ${Math.max(...times).toFixed(1)} ms`;
  say("commits of 2,000 rows beside it: median / slowest", worst(during));
  say("queries beside it: median / slowest", worst(queries));
  const { levels } = store.extent();
  const raw = things * samples * FIELDS.length;
  for (const level of LEVELS) {
    const { rows, bytes, files } = levels[level];
    say(`${level}: rows, files, bytes per raw point`, `${rows}, ${files}, ${(bytes / raw).toFixed(3)}`);
  }
  say("RSS", `${(process.memoryUsage().rss / mib(1)).toFixed(0)} MB`);
  for (const line of logger.lines) if (line.level !== "info") say(line.message, JSON.stringify(line.fields));
  await store.close();
  await folder.remove();
}

setPriority(5);
await run("1,000 devices × 4 metrics × 1,000 samples, one in 10 s", {
  things: 1000,
  samples: 1000,
  every: seconds(10),
  jitter: 0,
});
await run("the same, each message up to 50 ms late", { things: 1000, samples: 1000, every: seconds(10), jitter: 50 });
if (process.argv[2] === "year") {
  await run("a year of one device, one in a minute", { things: 1, samples: 525_600, every: minutes(1), jitter: 0 });
}
