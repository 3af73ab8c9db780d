import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { AGGREGATES } from "../../telemetry/mod.ts";
import type { Aggregate, SeriesQuery, SeriesResult } from "../../telemetry/mod.ts";
import {
  CONTRACT_START as START,
  commitReadings,
  contractReading,
  everythingOf,
} from "../../telemetry/store.contract.ts";
import type { ContractReading } from "../../telemetry/store.contract.ts";
import { StoreFolder } from "../duckdb/store.scenario.ts";
import { PostgresServer, postgresMissing } from "./server.fixture.ts";
import { StoreSchema } from "./store.fixture.ts";

const HOUR = 3_600_000;
const missing = postgresMissing();

/** Few names and few times, so that everything meets everything. */
const readings = fc.array(
  fc
    .record({
      time: fc.oneof(
        fc.integer({ min: -HOUR, max: HOUR }),
        fc.integer({ min: 0, max: 20 }),
        fc.integer({ min: -60, max: 3 }).map((days) => days * 24 * HOUR),
      ),
      value: fc.oneof(
        fc.integer({ min: -50, max: 50 }),
        fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e12, max: 1e12 }),
        fc.boolean(),
        fc.string({ unit: "grapheme", maxLength: 5 }).map((text) => text.replaceAll("\u0000", "")),
      ),
      thing: fc.constantFrom("a", "b"),
      measurement: fc.constantFrom("m", "line/4", "Ä"),
      field: fc.constantFrom("x", "y.z", "Z"),
    })
    .map(({ time, value, ...names }) => contractReading(time, value, names)),
  { maxLength: 120 },
);

const commits = fc.array(readings, { minLength: 1, maxLength: 6 });

type Asked = Omit<SeriesQuery, "to" | "aggregate"> & { readonly span: number; readonly aggregate: Aggregate };

function queryOf({ span, aggregate, ...rest }: Asked): SeriesQuery {
  return { ...rest, to: rest.from + span, aggregate: rest.window === null ? null : aggregate };
}

const queries = fc.array(
  fc
    .record({
      thing: fc.constantFrom("a", "b", "c"),
      measurement: fc.constantFrom(null, "m", "line/4"),
      fields: fc.constantFrom<SeriesQuery["fields"]>(null, ["x"], ["y.z", "x"], ["none"]),
      from: fc.oneof(fc.constant(0), fc.integer({ min: START - HOUR, max: START + HOUR })),
      span: fc.oneof(fc.integer({ min: 1, max: 2 * HOUR }), fc.constant(1e12)),
      window: fc.constantFrom(null, 1, 7, 1000, 60_000, HOUR, 24 * HOUR, 3 * 24 * HOUR),
      aggregate: fc.constantFrom(...AGGREGATES),
      limit: fc.constantFrom(1, 10, 100_000),
    })
    .map(queryOf),
  { minLength: 1, maxLength: 12 },
);

describe("PostgreSQL answers as DuckDB does", { skip: missing ?? false }, () => {
  let server: PostgresServer;
  before(async () => (server = await PostgresServer.start()));
  after(() => server.remove());

  test("the same random commits, the same random questions, also after a restart of both", async () => {
    await fc.assert(
      fc.asyncProperty(commits, queries, fc.boolean(), async (batches, asked, restart) => {
        const folder = await StoreFolder.make();
        const schema = new StoreSchema(server);
        try {
          let [duck, postgres] = [await folder.open(), await schema.open()];
          for (const [i, batch] of batches.entries()) {
            await commitReadings(duck, batch, i);
            await commitReadings(postgres, batch, i);
          }
          if (restart) {
            await Promise.all([folder.close(duck), postgres.close()]);
            [duck, postgres] = [await folder.open(), await schema.open()];
          }
          assert.deepEqual([postgres.rows, postgres.offset], [duck.rows, duck.offset]);
          for (const thing of ["a", "b"]) assert.deepEqual(postgres.latest(thing), duck.latest(thing));
          for (const query of asked) {
            assertSame(await postgres.query(query), await duck.query(query), JSON.stringify(query));
          }
        } finally {
          await schema.remove();
          await folder.remove();
        }
      }),
      { numRuns: 30, seed: 5 },
    );
  });

  test("many points of one series, by every aggregate", async () => {
    const folder = await StoreFolder.make();
    const schema = new StoreSchema(server);
    const [duck, postgres] = [await folder.open(), await schema.open()];
    const many: ContractReading[] = Array.from({ length: 20_000 }, (_, i) =>
      contractReading(((i * 7919) % 20_000) * 500, Math.round(Math.sin(i / 300) * 1000) / 10),
    );
    for (let from = 0; from < many.length; from += 3_000) {
      const batch = many.slice(from, from + 3_000);
      await commitReadings(duck, batch, from);
      await commitReadings(postgres, batch, from);
    }
    for (const aggregate of AGGREGATES) {
      const query = { ...everythingOf("press-1"), window: 300_000, aggregate };
      assertSame(await postgres.query(query), await duck.query(query), aggregate);
    }
    await schema.remove();
    await folder.remove();
  });
});

/** All is equal, but averages only nearly: sums in another order differ in the last bits. */
function assertSame(answer: SeriesResult, expected: SeriesResult, about: string): void {
  const near = (value: unknown): boolean => typeof value === "number" && expected.aggregate === "avg";
  const shape = ({ series, ...rest }: SeriesResult): unknown => ({
    ...rest,
    series: series.map(({ values, ...one }) => ({
      ...one,
      values: values.map((value) => (near(value) ? "near" : value)),
    })),
  });
  assert.deepEqual(shape(answer), shape(expected), about);
  for (const [i, { values }] of expected.series.entries()) {
    const largest = Math.max(...values.map((value) => Math.abs(Number(value)) || 0));
    for (const [k, value] of values.entries()) {
      const difference = Math.abs(Number(answer.series[i]!.values[k]) - Number(value));
      if (near(value))
        assert.ok(difference <= largest * 1e-9, `${about}: ${String(answer.series[i]!.values[k])}, not ${value}`);
    }
  }
}
