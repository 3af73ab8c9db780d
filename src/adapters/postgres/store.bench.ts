/** What the layout costs: rows a second, bytes a point, and one field's questions, by index. `node src/adapters/postgres/store.bench.ts` */
import { LIMITS } from "../../base/mod.ts";
import { PointBatch } from "../../telemetry/mod.ts";
import { everythingOf, CONTRACT_START } from "../../telemetry/store.contract.ts";
import { PostgresServer } from "./server.fixture.ts";
import { parsePostgresUrl } from "./server-url.ts";
import { Session } from "./session.ts";
import { StoreSchema } from "./store.fixture.ts";

const THINGS = 100;
const FIELDS = 4;
const COMMITS = 40;
const ROWS = 50_000;

const LAYOUTS: readonly (readonly [name: string, sql: string])[] = [
  ["btree (series, time), BRIN (arrival)", ""],
  [
    "BRIN (time), BRIN (arrival)",
    "DROP INDEX points_by_series; CREATE INDEX points_by_series ON points USING brin (time) WITH (pages_per_range = 64, autosummarize = on)",
  ],
  ["none", "DROP INDEX points_by_series; DROP INDEX points_by_arrival"],
];

const server = await PostgresServer.start({ durable: true, settings: ["shared_buffers=256MB"] });
try {
  for (const [name, sql] of LAYOUTS) await measure(name, sql);
} finally {
  await server.remove();
}

async function measure(name: string, sql: string): Promise<void> {
  const place = new StoreSchema(server);
  const store = await place.open();
  const session = await Session.open({
    address: parsePostgresUrl(server.url()),
    name: "bench",
    statementTimeout: 60_000,
  });
  await session.query(`SET search_path = ${place.schema}; ${sql}`);
  const ids = Array.from({ length: THINGS * FIELDS }, (_, i) =>
    store.series.resolve(store.series.measurement(`t${i % THINGS}`, "m"), `f${Math.floor(i / THINGS)}`, "number"),
  );
  let row = 0;
  let slowest = 0;
  const began = performance.now();
  for (let n = 0; n < COMMITS; n++) {
    const points = new PointBatch();
    for (let i = 0; i < ROWS; i++, row++) {
      points.add(
        ids[row % ids.length]!,
        CONTRACT_START + Math.floor(row / ids.length) * 10_000,
        Math.round(Math.sin(row) * 1000) / 10,
      );
    }
    const at = performance.now();
    await store.commit({ points, sequences: [], offset: row });
    slowest = Math.max(slowest, performance.now() - at);
  }
  const rate = row / ((performance.now() - began) / 1000);
  const [bytes] = (await session.query(
    "SELECT sum(pg_total_relation_size(inhrelid)), sum(pg_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'points'::regclass",
  )) as readonly (readonly number[])[];
  const timed = async (from: number, to: number, window: number): Promise<string> => {
    const query = {
      ...everythingOf("t7"),
      fields: ["f2"],
      from: CONTRACT_START + from,
      to: CONTRACT_START + to,
      window,
      aggregate: "avg" as const,
    };
    await store.query(query);
    const at = performance.now();
    for (let i = 0; i < 5; i++) await store.query(query);
    return `${((performance.now() - at) / 5).toFixed(1)} ms`;
  };
  const ten = await timed(0, 600_000, 60_000);
  const all = await timed(0, LIMITS.telemetry.timeAheadMax, 300_000);
  process.stdout.write(
    `${name}: ${Math.round(rate / 1000)}k rows/s (slowest commit ${Math.round(slowest)} ms), ` +
      `${(bytes![0]! / row).toFixed(0)} bytes a point (table ${(bytes![1]! / row).toFixed(0)}), 10 minutes of one field ${ten}, all of it ${all}\n`,
  );
  await session.end();
  await place.remove();
}
