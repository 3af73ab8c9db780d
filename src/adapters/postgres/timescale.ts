/**
 * Where the server has TimescaleDB, it divides the tables by time itself and keeps continuous aggregates for whoever asks
 * with SQL. Our own queries read the rows: late data makes an aggregate wrong until its next refresh, and answers must be
 * those of DuckDB. Written after TimescaleDB's documentation; tested against recorded calls, never on the real extension.
 */
import { reasonOf } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import type { Layout } from "./schema.ts";
import type { Session } from "./session.ts";

const DAY_MS = 86_400_000;
const LEVELS: readonly (readonly [name: string, ms: number, refreshed: string])[] = [
  ["points_1m", 60_000, "1 minute"],
  ["points_1h", 3_600_000, "10 minutes"],
  ["points_1d", DAY_MS, "1 hour"],
];

/** Part of format 1. Times are integers, so TimescaleDB must be told what now is. */
export const HYPERTABLES = `
  CREATE FUNCTION now_ms() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT (extract(epoch FROM now()) * 1000)::bigint';
  ${["points", "texts"]
    .map(
      (table) =>
        `SELECT create_hypertable('${table}', 'time', chunk_time_interval => ${DAY_MS}::bigint, create_default_indexes => false);
         SELECT set_integer_now_func('${table}', 'now_ms');`,
    )
    .join("\n")}
  ${LEVELS.map(
    ([name, ms]) =>
      `CREATE MATERIALIZED VIEW ${name} WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
         SELECT series, time_bucket(${ms}::bigint, time) AS bucket, count(*) AS count, sum(value) AS sum, min(value) AS min,
           max(value) AS max, first(value, time) AS first, last(value, time) AS last
         FROM points GROUP BY 1, 2 WITH NO DATA;`,
  ).join("\n")}
  ${LEVELS.map(
    ([name, ms, refreshed]) =>
      `SELECT add_continuous_aggregate_policy('${name}', start_offset => NULL::bigint, end_offset => ${ms}::bigint,
         schedule_interval => INTERVAL '${refreshed}');`,
  ).join("\n")}`;

export const DROP_CHUNKS = "SELECT drop_chunks($1::text::regclass, older_than => $2::bigint)";

/** Bytes with indexes, and how many there are. */
export const MEASURE_CHUNKS =
  "SELECT (hypertable_size('points') + hypertable_size('texts'))::bigint, " +
  "(SELECT count(*) FROM show_chunks('points')) + (SELECT count(*) FROM show_chunks('texts'))";

/** What the tables have, or what new ones shall have. */
export async function layoutFor(session: Session, schema: string, logger: Logger): Promise<Layout> {
  const [made] = await session.query("SELECT to_regclass($1) IS NOT NULL", [`${schema}.state`]);
  if (made?.[0] === true) {
    const [row] = await session.query(`SELECT layout FROM ${schema}.state`);
    return row?.[0] === "hypertables" ? "hypertables" : "partitions";
  }
  return (await timescaleVersion(session, logger)) === null ? "partitions" : "hypertables";
}

/** Null where the server has no TimescaleDB, or this user may not have it. */
async function timescaleVersion(session: Session, logger: Logger): Promise<string | null> {
  const [row] = await session.query(
    "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'timescaledb'",
  );
  if (row === undefined) return null;
  try {
    if (row[1] === null) await session.query("CREATE EXTENSION IF NOT EXISTS timescaledb");
    return String(row[1] ?? row[0]);
  } catch (error) {
    logger.warn("The server has TimescaleDB and this user may not install it; native partitions are used", {
      reason: reasonOf(error),
    });
    return null;
  }
}
