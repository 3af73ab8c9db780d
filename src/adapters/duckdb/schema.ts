/**
 * The tables of `telemetry.duckdb`, format 2. No primary keys: replaying a write-ahead log with one costs memory in
 * proportion to the table and can make the file impossible to open (LIBRARIES.md, section 2.2).
 *
 *   format         one row: the version of this layout
 *   series         names by number; a field whose type changes gets one series per type
 *   progress       one row: next log offset to read (-1: nothing read yet), and the identity of the log
 *   generations    those whose tables are here; all but the newest are sealed: `below` is the offset up to which the log
 *                  is in this generation and those before, `series` how many names there were then, `log` which log
 *
 * and of each generation, rows in the order of arrival:
 *
 *   numbers_<n>    numbers, and booleans as 0 and 1; time in epoch ms
 *   texts_<n>      strings, likewise
 *   sequences_<n>  de-duplication states that changed; the newest row of a (source, outbox) counts
 *
 * A generation's tables are dropped as a whole once the manifest covers them; no row is ever deleted.
 */
export const SCHEMA_VERSION = 2;

const TABLES: readonly string[] = [
  "CREATE TABLE generations (number INTEGER NOT NULL, below BIGINT, series INTEGER, log VARCHAR)",
  "CREATE TABLE progress (log_offset BIGINT NOT NULL, log VARCHAR)",
];

export const SCHEMA: readonly string[] = [
  "CREATE TABLE format (version INTEGER NOT NULL)",
  `INSERT INTO format VALUES (${SCHEMA_VERSION})`,
  "CREATE TABLE series (id INTEGER NOT NULL, thing VARCHAR NOT NULL, measurement VARCHAR NOT NULL, field VARCHAR NOT NULL, type VARCHAR NOT NULL)",
  ...TABLES,
];

/** Format 1 had all points in one pair of tables: they become the first generation, sealed. */
export const UPGRADE_FROM_1: readonly string[] = [
  "ALTER TABLE points RENAME TO numbers_1",
  "ALTER TABLE texts RENAME TO texts_1",
  "ALTER TABLE sequences RENAME TO sequences_1",
  "ALTER TABLE progress RENAME TO progress_1",
  ...TABLES,
  "INSERT INTO progress SELECT log_offset, NULL FROM progress_1",
  "INSERT INTO generations SELECT 1, greatest(log_offset, 0), (SELECT count(*) FROM series), NULL FROM progress_1",
  "DROP TABLE progress_1",
  "DROP TABLE latest",
  ...newGeneration(2),
  `UPDATE format SET version = ${SCHEMA_VERSION}`,
];

export function newGeneration(number: number): readonly string[] {
  return [
    `CREATE TABLE numbers_${number} (series INTEGER NOT NULL, time BIGINT NOT NULL, value DOUBLE NOT NULL)`,
    `CREATE TABLE texts_${number} (series INTEGER NOT NULL, time BIGINT NOT NULL, value VARCHAR NOT NULL)`,
    `CREATE TABLE sequences_${number} (source VARCHAR NOT NULL, outbox VARCHAR NOT NULL, state VARCHAR)`,
    `INSERT INTO generations VALUES (${number}, NULL, NULL, NULL)`,
  ];
}

export function dropGeneration(number: number): readonly string[] {
  return [
    `DROP TABLE numbers_${number}`,
    `DROP TABLE texts_${number}`,
    `DROP TABLE sequences_${number}`,
    `DELETE FROM generations WHERE number = ${number}`,
  ];
}
