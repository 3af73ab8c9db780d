import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_EXTENT } from "../telemetry/mod.ts";
import { healthOf } from "./health.ts";
import type { HealthSources } from "./health.ts";

const LOG = { state: "ok", reason: null, durable: 12, first: 2 };
const STORE = { state: "ready", reason: null, lag: 0, rows: 7, realigned: null, extent: NO_EXTENT, archive: null };

function health(log: object = {}, store: object = {}): ReturnType<typeof healthOf> {
  return healthOf({
    log: { status: () => ({ ...LOG, ...log }) },
    store: { status: () => ({ ...STORE, ...store }) },
    startedAt: 5,
  } as unknown as HealthSources);
}

const RESTART = "Check the disk (`dmesg`, `smartctl`) and restart Tidewire; everything that was acknowledged is kept.";
const FREE = "Free disk space if it is the disk, else wait: the log takes messages again by itself.";

test("the whole is as its worst part, and each part says why", () => {
  const table = [
    [{}, {}, "ok", "10 messages kept", "7 points"],
    [{}, { state: "restarting", reason: "it fell" }, "degraded", "10 messages kept", "it fell"],
    [{}, { state: "starting" }, "degraded", "10 messages kept", "starting"],
    [{}, { lag: 100_000 }, "ok", "10 messages kept", "7 points"],
    [{}, { lag: 100_001 }, "degraded", "10 messages kept", "100001 messages behind"],
    [{}, { realigned: "another log" }, "degraded", "10 messages kept", "another log"],
    [{}, { extent: { ...NO_EXTENT, waiting: "full" } }, "degraded", "10 messages kept", "compaction waits: full"],
    [
      {},
      { extent: { ...NO_EXTENT, quarantined: 2 } },
      "degraded",
      "10 messages kept",
      "2 telemetry files are damaged or gone: answers that need them are incomplete",
    ],
    [{ state: "failed", reason: "the disk is gone" }, {}, "failed", `the disk is gone. ${RESTART}`, "7 points"],
    [{ state: "full", reason: "no space" }, { state: "closed" }, "failed", `no space. ${FREE}`, "closed"],
  ] as const;
  for (const [log, store, state, logSays, storeSays] of table) {
    const { parts, ...whole } = health(log, store);
    assert.equal(whole.state, state, JSON.stringify([log, store]));
    assert.deepEqual(
      parts.map((part) => part.detail),
      [logSays, storeSays],
    );
  }
  assert.equal(health().startedAt, 5);
});

test("the archive is a part where there is one: degraded with its reason, never failed, because the log keeps the messages", () => {
  const archive = { problem: null, rows: 12, files: 2, lag: 3 };
  assert.deepEqual(health({}, { archive }).parts[2], {
    name: "archive",
    state: "ok",
    detail: "12 messages in 2 files, 3 still to come",
  });
  const { state, parts } = health({}, { archive: { ...archive, problem: "the bucket is away" } });
  assert.deepEqual([state, parts[2]?.detail], ["degraded", "the bucket is away"]);
});

test("shadows that are far behind are degraded, never failed: devices wait for answers, and nothing is lost", () => {
  const part = (lag: number): string | undefined => {
    const sources = {
      log: { status: () => LOG },
      store: { status: () => STORE },
      shadows: { status: () => ({ lag }) },
    };
    return healthOf({ ...sources, startedAt: 5 } as unknown as HealthSources).parts.find(
      ({ name }) => name === "shadows",
    )?.state;
  };
  assert.deepEqual([part(5), part(200_000)], ["ok", "degraded"]);
});

test("a search that finds not everything is told with its reason", () => {
  const sources = { log: { status: () => LOG }, store: { status: () => STORE }, startedAt: 5 };
  const of = (problem: string | null) => healthOf({ ...sources, search: { problem } } as unknown as HealthSources);
  assert.equal(of(null).state, "ok");
  const { state, parts } = of("it is started again: out of memory");
  assert.equal(state, "degraded");
  assert.deepEqual(parts.at(-1), {
    name: "search",
    state: "degraded",
    detail: "it is started again: out of memory",
  });
});

test("rules whose state cannot be saved are told", () => {
  const sources = { log: { status: () => LOG }, store: { status: () => STORE }, startedAt: 5 };
  const of = (problem: string | null) => healthOf({ ...sources, rules: { problem } } as unknown as HealthSources);
  assert.equal(of(null).state, "ok");
  const detail = "the state of mean cannot be saved";
  assert.deepEqual(of(detail).parts.at(-1), { name: "rules", state: "degraded", detail });
});
