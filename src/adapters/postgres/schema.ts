/**
 * The telemetry tables, in a schema of their own. Format 1:
 *
 *   state      one row: format, layout, next log offset to read and the log that it counts in, number of commits, rows that
 *              ever arrived, rows that are there, up to which arrival `latest` covers them, and when the clock was last
 *              believed by retention
 *   series     names by number; a field whose type changes gets one series per type
 *   points     numbers, and booleans as 0 and 1; time in epoch ms; `arrival` counts rows and orders equal times
 *   texts      strings, likewise
 *   latest     newest point of each series as of `latest_covers`, so that a start need not read all rows
 *   sequences  de-duplication states; `used` orders them by last use
 *   readings   a view with names and timestamps, for psql and Grafana
 *
 * `points` and `texts` are partitioned by day (partitions.ts), or hypertables where TimescaleDB is there (timescale.ts).
 * Statements are never edited once released, only appended: one text per format.
 */
import { TidewireError } from "../../base/mod.ts";
import { nameOfServer } from "./server-url.ts";
import type { PostgresServerAddress } from "./server-url.ts";
import type { Session } from "./session.ts";
import { HYPERTABLES } from "./timescale.ts";

export interface Migrations {
  /** What the schema holds, for messages: "telemetry", "registry". */
  readonly name: string;
  readonly schema: string;
  /** SQL per format; index 0 makes the tables, among them `state` with a column `format`. */
  readonly steps: readonly string[];
}

/** Indexes of both: one series in a range of time; and what arrived last, which needs a few bytes per hundred pages. */
const INDEXES_1 = ["points", "texts"]
  .map(
    (table) =>
      `CREATE INDEX ${table}_by_series ON ${table} (series, time);
       CREATE INDEX ${table}_by_arrival ON ${table} USING brin (arrival) WITH (pages_per_range = 64, autosummarize = on);`,
  )
  .join("\n");

/** How `points` and `texts` are divided by time; decided when they are made. */
export type Layout = "partitions" | "hypertables";

const telemetry1 = (layout: Layout): string => `
  CREATE TABLE state (
    format integer NOT NULL, layout text NOT NULL, log_offset bigint NOT NULL, commits bigint NOT NULL,
    arrivals bigint NOT NULL, row_count bigint NOT NULL, latest_covers bigint NOT NULL, log text, trusted_at bigint NOT NULL
  );
  INSERT INTO state VALUES (1, '${layout}', -1, 0, 0, 0, 0, NULL, -1);
  CREATE TABLE series (
    id integer PRIMARY KEY, thing text COLLATE "C" NOT NULL, measurement text COLLATE "C" NOT NULL,
    field text COLLATE "C" NOT NULL, type text NOT NULL
  );
  CREATE INDEX series_by_thing ON series (thing);
  CREATE TABLE points (
    time bigint NOT NULL, arrival bigint NOT NULL, value double precision NOT NULL, series integer NOT NULL
  )${layout === "partitions" ? " PARTITION BY RANGE (time)" : ""};
  CREATE TABLE texts (
    time bigint NOT NULL, arrival bigint NOT NULL, series integer NOT NULL, value text NOT NULL
  )${layout === "partitions" ? " PARTITION BY RANGE (time)" : ""};
  CREATE TABLE latest (
    series integer PRIMARY KEY, time bigint NOT NULL, value double precision, text text
  );
  CREATE TABLE sequences (
    source text COLLATE "C" NOT NULL, outbox text COLLATE "C" NOT NULL, state text NOT NULL, used bigint NOT NULL,
    PRIMARY KEY (source, outbox)
  ) WITH (fillfactor = 70);
  CREATE VIEW readings AS
    SELECT to_timestamp(time / 1000.0) AS time, thing, measurement, field, type, value AS number, NULL::text AS text
      FROM points JOIN series ON series.id = points.series
    UNION ALL
    SELECT to_timestamp(time / 1000.0), thing, measurement, field, type, NULL, value
      FROM texts JOIN series ON series.id = texts.series;
${layout === "partitions" ? "" : HYPERTABLES}
${INDEXES_1}`;

export function telemetryMigrations(schema: string, layout: Layout): Migrations {
  return { name: "telemetry", schema, steps: [telemetry1(layout)] };
}

/**
 * Makes the tables or brings them up to date, all in one transaction, while nobody else does. Throws DATABASE_NEWER.
 * From then on names without a schema mean ours.
 */
export async function prepare(session: Session, address: PostgresServerAddress, wanted: Migrations): Promise<void> {
  const { name, schema, steps } = wanted;
  await session.query("BEGIN");
  try {
    await session.query(`SELECT pg_advisory_xact_lock(hashtextextended('tidewire migrate ' || $1, 0))`, [schema]);
    await session.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
    await session.query(`SET LOCAL search_path = ${schema}`);
    const version = await formatOf(session, schema);
    if (version > steps.length) {
      const path = `${nameOfServer(address)} (schema ${schema})`;
      throw new TidewireError("DATABASE_NEWER", { name, path, version, known: steps.length });
    }
    for (const step of steps.slice(version)) await session.query(step);
    if (version < steps.length) await session.query("UPDATE state SET format = $1", [steps.length]);
    await session.query("COMMIT");
  } catch (error) {
    if (session.alive) await session.query("ROLLBACK");
    throw error;
  }
  await session.query(`SET search_path = ${schema}`);
}

async function formatOf(session: Session, schema: string): Promise<number> {
  const [made] = await session.query("SELECT to_regclass($1) IS NOT NULL", [`${schema}.state`]);
  if (made?.[0] !== true) return 0;
  const [row] = await session.query("SELECT format FROM state");
  return Number(row?.[0] ?? 0);
}
