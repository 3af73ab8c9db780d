/** A process that opens DuckDB files as the store process does, and answers with all that is in them; it may fall at it. */
import { dirname, join } from "node:path";
import { DuckStore, isDamage } from "../../../src/adapters/duckdb/mod.ts";
import { everything } from "../../../src/adapters/duckdb/store.scenario.ts";
import { LIMITS, isTidewireError, reasonOf } from "../../../src/base/mod.ts";
import { DEFAULT_RETENTION } from "../../../src/telemetry/mod.ts";
import { SimClock, SimLogger } from "../../../sim/world.ts";

export interface StoreAnswer {
  /** `null`: refused with a sentence. */
  readonly content: string | null;
  readonly told: readonly string[];
  /** An error without a sentence. */
  readonly unexplained: string | null;
}

export const THINGS = ["t0", "t1", "t2", "t3", "t4"];

async function answer(path: string, distrust: string | null): Promise<StoreAnswer> {
  const logger = new SimLogger();
  const told = (): string[] =>
    logger.lines.filter(({ level }) => level === "warn" || level === "error").map(({ message }) => message);
  const clock = new SimClock();
  const common = {
    path,
    folder: join(dirname(path), "telemetry"),
    retention: DEFAULT_RETENTION,
    room: { diskShare: 0.5 },
    clock,
    scheduler: clock,
    logger,
    limits: LIMITS.telemetry,
  };
  const memoryBytes = LIMITS.telemetry.databaseBytesMax;
  try {
    const store = await DuckStore.open({ ...common, memoryBytes, ...(distrust === null ? {} : { distrust }) });
    try {
      const { offset, rows } = store;
      const series = await Promise.all(THINGS.map((thing) => store.query(everything(thing))));
      const content = JSON.stringify({ offset, rows, series, latest: THINGS.map((thing) => store.latest(thing)) });
      return { content, told: told(), unexplained: null };
    } finally {
      await store.close();
    }
  } catch (error) {
    // The store process ends at such an error, and the file is moved aside at its next start (`parent.scenario.ts`).
    if (isDamage(reasonOf(error))) return { content: "", told: [reasonOf(error)], unexplained: null };
    return { content: null, told: told(), unexplained: isTidewireError(error) ? null : reasonOf(error) };
  }
}

if (process.send !== undefined) {
  process.on("message", ({ path, distrust }: { path: string; distrust: string | null }) => {
    void answer(path, distrust).then((given) => process.send!(given));
  });
}
