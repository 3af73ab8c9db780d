import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock, SimLogger } from "../../sim/world.ts";
import { LIMITS, hours, minutes, seconds } from "../base/mod.ts";
import { startUpkeep } from "./upkeep.ts";
import type { UpkeepOptions } from "./upkeep.ts";

/** Played neighbours that write down what they were told. */
function neighbours(): {
  readonly options: UpkeepOptions;
  readonly clock: SimClock;
  readonly logger: SimLogger;
  readonly told: string[];
  readonly state: {
    touched: boolean;
    checkpoint: number;
    shadows: number;
    stored: number;
    archive: { offset: number | null } | null;
    online: string[];
    viewers: boolean;
    broken: boolean;
  };
} {
  const clock = new SimClock();
  const logger = new SimLogger();
  const told: string[] = [];
  const state = {
    touched: false,
    checkpoint: 10,
    shadows: 9,
    stored: 5,
    archive: null as { offset: number | null } | null,
    online: [] as string[],
    viewers: true,
    broken: false,
  };
  const options = {
    scheduler: clock,
    logger,
    presence: {
      list: (_state: string, after: string | null, limit: number) =>
        state.online.filter((thing) => after === null || thing > after).slice(0, limit),
    },
    ingest: {
      log: { retain: async (below: number) => void told.push(`retain ${below}`) },
      rules: { checkpoint: () => state.checkpoint },
      shadows: { checkpoint: () => state.shadows },
      forgetter: { tidy: async () => {}, follow: async () => {} },
      store: { status: () => ({ forgettable: state.stored, archive: state.archive }) },
    },
    renewals: { tidy: () => {} },
    census: { refresh: async () => {} },
    api: {
      live: {
        get hasFleetViewers() {
          return state.viewers;
        },
        refreshHeadlines: async (things: readonly string[]) =>
          void told.push(`headlines ${things[0]}+${things.length}`),
      },
    },
    listeners: {
      reload: async () => {
        if (state.broken) throw new Error("the disk is full");
        told.push("certificates");
      },
      reloadIfChanged: async () => {
        if (state.touched) told.push("certificate files");
        state.touched = false;
      },
    },
  } as unknown as UpkeepOptions;
  return { options, clock, logger, told, state };
}

test("certificates are looked at every six hours, and within seconds of a change of their files", async () => {
  const { options, clock, told, state } = neighbours();
  state.viewers = false;
  const stop = startUpkeep(options);
  const changes = (): string[] => told.filter((line) => line.startsWith("certificate"));
  await clock.run(hours(5));
  assert.deepEqual(changes(), []);
  state.touched = true;
  await clock.run(seconds(10));
  assert.deepEqual(changes(), ["certificate files"]);
  await clock.run(hours(1));
  assert.deepEqual(changes(), ["certificate files", "certificates"]);
  stop();
});

test("the log keeps what rules or shadows have not had, or the store or the archive has not put where it stays; everything, while that is not known", async () => {
  const { options, clock, told, state } = neighbours();
  state.viewers = false;
  const stop = startUpkeep(options);
  await clock.run(minutes(1));
  state.checkpoint = 3;
  await clock.run(minutes(1));
  state.archive = { offset: 2 };
  await clock.run(minutes(1));
  state.archive = { offset: null };
  await clock.run(minutes(1));
  state.archive = null;
  await clock.run(minutes(1));
  state.shadows = 1;
  await clock.run(minutes(1));
  state.stored = 0;
  await clock.run(minutes(1));
  assert.deepEqual(told, ["retain 5", "retain 3", "retain 2", "retain 0", "retain 3", "retain 1", "retain 0"]);
  stop();
});

test("headlines go round a large fleet by pages, and nobody is asked while nobody looks", async () => {
  const { options, clock, told, state } = neighbours();
  const page = LIMITS.http.pageSizeMax;
  state.online = Array.from({ length: page + 2 }, (_, i) => `t${String(i).padStart(4, "0")}`);
  const stop = startUpkeep(options);
  await clock.run(seconds(6));
  assert.deepEqual(told, [`headlines t0000+${page}`, `headlines t0${page}+2`, `headlines t0000+${page}`]);
  state.viewers = false;
  await clock.run(seconds(10));
  assert.equal(told.length, 3);
  stop();
});

test("a chore that fails is told, done again at its next time, and holds up no other; after the stop nothing is done", async () => {
  const { options, clock, logger, told, state } = neighbours();
  state.broken = true;
  const stop = startUpkeep(options);
  await clock.run(hours(6));
  assert.deepEqual(
    logger.lines.map((line) => line.fields),
    [{ chore: "certificate renewal", reason: "the disk is full" }],
  );
  state.broken = false;
  await clock.run(hours(6));
  assert.ok(told.includes("certificates"));
  stop();
  const before = told.length;
  await clock.run(hours(24));
  assert.equal(told.length, before);
});
