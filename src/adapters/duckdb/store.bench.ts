/**
 * Points per second from parsed messages to committed rows, while two readers ask; then what queries cost.
 * Run: node src/adapters/duckdb/store.bench.ts [million points, default 8]
 */
import { rm, stat } from "node:fs/promises";
import { LIMITS, mib } from "../../base/mod.ts";
import type { JsonValue } from "../../base/mod.ts";
import { SequenceBook, PointBatch, pointsOf, typeOf } from "../../telemetry/mod.ts";
import type { SeriesQuery } from "../../telemetry/mod.ts";
import { START, StoreFolder } from "./store.scenario.ts";
import type { DuckStore } from "./duck-store.ts";

const MILLIONS = Number(process.argv[2] ?? 8);
const THINGS = 100;
const COMMIT_ROWS = 100_000;

/** The agent's system reading: 20 numbers, a boolean and a string. */
function payload(time: number, n: number): JsonValue {
  const percent = (n * 7) % 100;
  return {
    ts: time,
    cpu: { percent, core0: percent / 2, core1: percent / 3, core2: 1.5, core3: 2.5 },
    load: { m1: 0.25, m5: 0.5, m15: 0.75 },
    memory: { percent: 41.5, usedBytes: 3_000_000_000 + n, totalBytes: 8_000_000_000 },
    disk: { percent: 60, usedBytes: 60_000_000_000, totalBytes: 100_000_000_000 },
    network: { rxBytes: n * 1500, txBytes: n * 900 },
    temperature: { celsius: 40 + (n % 10) },
    uptime: { seconds: n },
    fan: { rpm: 900 + (n % 50), on: n % 2 === 0, mode: "auto" },
  };
}

function say(what: string, value: string): void {
  process.stdout.write(`${what.padEnd(58)} ${value}\n`);
}

async function fill(store: DuckStore, points: number): Promise<void> {
  const sequences = new SequenceBook(LIMITS.telemetry);
  const batch = new PointBatch();
  let slowest = 0;
  let commits = 0;
  const startedAt = performance.now();
  for (let n = 0, rows = 0; rows < points; n++) {
    const thing = `press-${n % THINGS}`;
    const time = START + Math.floor(n / THINGS) * 1000;
    const context = { topic: `telemetry/${thing}/system`, thing, receivedAt: time };
    sequences.accept(`thing ${thing}`, { outbox: "o", sequence: Math.floor(n / THINGS) + 1 });
    const read = pointsOf(payload(time, n), context, LIMITS.telemetry);
    const measurement = store.series.measurement(thing, read.measurement);
    for (let i = 0; i < read.names.length; i++) {
      const value = read.values[i]!;
      const id = store.series.resolve(measurement, read.names[i]!, typeOf(value));
      if (typeof value === "string") batch.addText(id, read.time, value);
      else batch.add(id, read.time, Number(value));
    }
    if (batch.rows < COMMIT_ROWS) continue;
    rows += batch.rows;
    const commitAt = performance.now();
    await store.commit({ points: batch, sequences: sequences.takeChanged(), offset: n + 1 });
    slowest = Math.max(slowest, performance.now() - commitAt);
    commits++;
    batch.clear();
  }
  const elapsed = performance.now() - startedAt;
  say("points/s, parsed message to committed row", Math.round((store.rows / elapsed) * 1000).toLocaleString("en"));
  say("commits, slowest", `${commits}, ${slowest.toFixed(0)} ms`);
}

async function time(what: string, store: DuckStore, query: SeriesQuery): Promise<void> {
  const times: number[] = [];
  let points = 0;
  for (let i = 0; i < 7; i++) {
    const at = performance.now();
    points = (await store.query(query)).series.reduce((sum, { times }) => sum + times.length, 0);
    times.push(performance.now() - at);
  }
  const median = times.sort((a, b) => a - b)[3]!;
  say(`${what} (${points} points)`, `${median.toFixed(1)} ms`);
}

const folder = await StoreFolder.make();
try {
  let store = await folder.open();
  const viewer = { asks: true };
  const query = { thing: "press-7", measurement: "system", fields: ["cpu.percent"], from: START, to: START + 1e12 };
  const reader = (async () => {
    while (viewer.asks) await store.query({ ...query, window: 60_000, aggregate: "avg", limit: 100_000 });
  })();
  await fill(store, MILLIONS * 1e6);
  viewer.asks = false;
  await reader;
  const raw: SeriesQuery = { ...query, window: null, aggregate: null, limit: 100_000 };
  const wal = await stat(`${folder.path}.wal`).then(
    ({ size }) => size,
    () => 0,
  );
  say("write-ahead log beside constant queries", `${(wal / mib(1)).toFixed(1)} MB`);
  const seconds = Math.floor(store.rows / 22 / THINGS);
  const to = START + seconds * 1000;
  say("rows, seconds of 100 things", `${store.rows.toLocaleString("en")}, ${seconds}`);
  await time("one field, 10 newest minutes, raw", store, { ...raw, from: to - 600_000, to });
  await time("one field, all time, raw", store, raw);
  await time("one field, all time, avg per minute", store, { ...raw, window: 60_000, aggregate: "avg" });
  await time("all fields, 10 newest minutes, last per minute", store, {
    ...raw,
    fields: null,
    from: to - 600_000,
    to,
    window: 60_000,
    aggregate: "last",
  });
  let at = performance.now();
  await folder.close(store);
  say("close", `${(performance.now() - at).toFixed(0)} ms`);
  const { size } = await stat(folder.path);
  at = performance.now();
  store = await folder.open();
  say("open", `${(performance.now() - at).toFixed(0)} ms`);
  say("bytes per point", (size / store.rows).toFixed(2));
  say("RSS of this process", `${(process.memoryUsage().rss / mib(1)).toFixed(0)} MB`);
} finally {
  await folder.remove();
  await rm(folder.folder, { recursive: true, force: true });
}
