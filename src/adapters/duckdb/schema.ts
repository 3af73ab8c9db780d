/**
 * The tables of `telemetry.duckdb`, format 1. No primary keys: replaying a write-ahead log with one costs memory in
 * proportion to the table and can make the file impossible to open (LIBRARIES.md, section 2.2).
 *
 *   format     one row: the version of this layout
 *   series     names by number; a field whose type changes gets one series per type
 *   points     numbers, and booleans as 0 and 1; time in epoch ms. Row order is the order of arrival
 *   texts      strings, likewise
 *   latest     newest point of each series as of `snapshot`, so that a start need not read all rows
 *   sequences  de-duplication state, append-only: the newest row of a (source, outbox) counts; rewritten now and then
 *   progress   one row: next log offset to read; rows of points and texts that `latest` covers
 *
 * Whoever deletes rows of points or texts must rewrite `latest` and `progress` in the same transaction.
 */
export const SCHEMA_VERSION = 1;

export const SCHEMA: readonly string[] = [
  "CREATE TABLE format (version INTEGER NOT NULL)",
  `INSERT INTO format VALUES (${SCHEMA_VERSION})`,
  "CREATE TABLE series (id INTEGER NOT NULL, thing VARCHAR NOT NULL, measurement VARCHAR NOT NULL, field VARCHAR NOT NULL, type VARCHAR NOT NULL)",
  "CREATE TABLE points (series INTEGER NOT NULL, time BIGINT NOT NULL, value DOUBLE NOT NULL)",
  "CREATE TABLE texts (series INTEGER NOT NULL, time BIGINT NOT NULL, value VARCHAR NOT NULL)",
  "CREATE TABLE latest (series INTEGER NOT NULL, time BIGINT NOT NULL, value DOUBLE, text VARCHAR)",
  "CREATE TABLE sequences (source VARCHAR NOT NULL, outbox VARCHAR NOT NULL, state VARCHAR)",
  "CREATE TABLE progress (log_offset BIGINT NOT NULL, points_covered BIGINT NOT NULL, texts_covered BIGINT NOT NULL)",
  "INSERT INTO progress VALUES (-1, 0, 0)", // nothing read yet
];
