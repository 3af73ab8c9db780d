import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimLogger } from "../../../sim/world.ts";
import { telemetryMigrations } from "./schema.ts";
import type { Row, Session } from "./session.ts";
import { layoutFor } from "./timescale.ts";

/** A server that answers as told. Debian has no TimescaleDB: that its statements work there was never seen. */
function answering(answers: Readonly<Record<string, readonly Row[] | Error>>): { session: Session; asked: string[] } {
  const asked: string[] = [];
  const query = async (text: string): Promise<readonly Row[]> => {
    asked.push(text);
    const [, answer = []] = Object.entries(answers).find(([part]) => text.includes(part)) ?? [];
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { session: { query } as unknown as Session, asked };
}

describe("which layout new tables get", () => {
  test("without TimescaleDB native partitions", async () => {
    const { session, asked } = answering({ to_regclass: [[false]] });
    assert.equal(await layoutFor(session, "s", new SimLogger()), "partitions");
    assert.ok(!asked.some((text) => text.includes("CREATE EXTENSION")));
  });

  test("with TimescaleDB hypertables; it is installed where it is only available", async () => {
    const there = answering({ to_regclass: [[false]], pg_available: [["2.20.0", "2.20.0"]] });
    assert.equal(await layoutFor(there.session, "s", new SimLogger()), "hypertables");
    assert.ok(!there.asked.some((text) => text.includes("CREATE EXTENSION")));
    const available = answering({ to_regclass: [[false]], pg_available: [["2.20.0", null]] });
    assert.equal(await layoutFor(available.session, "s", new SimLogger()), "hypertables");
    assert.equal(available.asked.at(-1), "CREATE EXTENSION IF NOT EXISTS timescaledb");
  });

  test("a user who may not install it gets partitions, and is told", async () => {
    const denied = {
      to_regclass: [[false]],
      pg_available: [["2.20.0", null]],
      "CREATE EXTENSION": new Error("permission denied"),
    };
    const logger = new SimLogger();
    assert.equal(await layoutFor(answering(denied).session, "s", logger), "partitions");
    assert.match(String(logger.lines[0]?.fields["reason"]), /permission denied/);
  });

  test("tables that are there keep what they have, whatever is installed meanwhile", async () => {
    const made = { to_regclass: [[true]], "SELECT layout": [["partitions"]], pg_available: [["2.20.0", "2.20.0"]] };
    assert.equal(await layoutFor(answering(made).session, "s", new SimLogger()), "partitions");
  });

  test("hypertables are made before their aggregates, and are not partitioned as well", () => {
    const [sql = ""] = telemetryMigrations("s", "hypertables").steps;
    const places = [
      "CREATE TABLE texts",
      "create_hypertable('points'",
      "CREATE MATERIALIZED VIEW points_1m",
      "points_by_series",
    ];
    const found = places.map((part) => sql.indexOf(part));
    assert.deepEqual(
      found,
      found.toSorted((a, b) => a - b),
    );
    assert.ok(found.every((place) => place > 0) && !sql.includes("PARTITION BY"));
    assert.match(telemetryMigrations("s", "partitions").steps[0]!, /PARTITION BY RANGE \(time\)/);
  });
});
