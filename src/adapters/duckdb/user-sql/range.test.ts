import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LIMITS, days } from "../../../base/mod.ts";
import { UserQuery } from "./query.ts";
import type { Parameters } from "./query.ts";
import { ALL_TIMES } from "./snapshots.ts";

const MARCH = Date.UTC(2026, 2, 1);
const APRIL = Date.UTC(2026, 3, 1);
const SLACK = 60_000;

let query: UserQuery;
before(async () => (query = await UserQuery.open(LIMITS.asking)));
after(() => query.close());

async function range(sql: string, parameters: Parameters = []): Promise<readonly [number, number]> {
  const { from, to } = (await query.check(sql, parameters)).range;
  return [from, to];
}

const ALL = [ALL_TIMES.from, ALL_TIMES.to];

describe("a statement's times bound what is read", () => {
  test("where they are certain: constants, parameters, now(), BETWEEN, either side, joins with what has no time", async () => {
    const march = [MARCH - SLACK, APRIL + SLACK];
    assert.deepEqual(
      await range("SELECT * FROM telemetry WHERE time >= '2026-03-01' AND time < '2026-04-01' AND value > 1"),
      march,
    );
    assert.deepEqual(
      await range("SELECT avg(avg) FROM rollups_1h r WHERE r.time BETWEEN $from AND $to AND thing = $thing", {
        thing: "a",
        from: "2026-03-01",
        to: "2026-04-01",
      }),
      march,
    );
    assert.deepEqual(
      await range("FROM telemetry WHERE ? <= time AND ? > time", ["2026-03-01", "2026-04-01T00:00:00Z"]),
      march,
    );
    assert.deepEqual(
      await range("SELECT * FROM telemetry t JOIN things USING (thing) WHERE t.time > DATE '2026-03-01'"),
      [MARCH - SLACK, ALL_TIMES.to],
    );
    assert.deepEqual(await range("WITH a AS (FROM telemetry WHERE time = '2026-03-01') SELECT * FROM a"), [
      MARCH - SLACK,
      MARCH + SLACK,
    ]);
    assert.deepEqual(await range("FROM telemetry WHERE NOT (time > '2026-03-01')"), [ALL_TIMES.from, MARCH + SLACK]);
    const [from, to] = await range("SELECT * FROM telemetry WHERE time > now() - INTERVAL '1 day'");
    assert.ok(Math.abs(from - (Date.now() - days(1))) < 2 * SLACK);
    assert.equal(to, ALL_TIMES.to);
  });

  test("everything is read where they are not", async () => {
    for (const sql of [
      "SELECT * FROM telemetry",
      "SELECT * FROM telemetry WHERE time > '2026-03-01' OR value > 1",
      "SELECT * FROM telemetry WHERE time <> '2026-03-01'",
      "SELECT * FROM telemetry WHERE time + INTERVAL '1 year' > '2026-03-01'",
      "SELECT * FROM telemetry WHERE time > (SELECT max(time) FROM telemetry)",
      "SELECT * FROM telemetry WHERE time > '2026-03-01' UNION ALL FROM rollups_1d",
      "SELECT * FROM telemetry AS t(time, name) WHERE time > '2026-03-01'",
      "SELECT * FROM telemetry t, (SELECT now() AS time) x WHERE x.time > '2026-03-01'",
      "WITH series AS (SELECT now() AS time) SELECT * FROM telemetry t, series s WHERE s.time > '2026-03-01'",
      "SELECT (SELECT min(value) FROM telemetry), 1 FROM things WHERE created > '2026-03-01'",
      "SELECT * FROM telemetry WHERE time > to_timestamp(random())",
      "SELECT * FROM telemetry WHERE time > 'not a time'",
      "SELECT * FROM telemetry WHERE time > NULL",
      "SELECT * FROM telemetry WHERE time > $missing",
      "SELECT * FROM telemetry HAVING max(time) > '2026-03-01'",
    ]) {
      assert.deepEqual(await range(sql), ALL, sql);
    }
  });
});
