/**
 * What a user's SQL sees, as views over Parquet files that lie in one folder. The only place that knows how our tables and
 * files become the relations of docs/reference/query.md.
 */
import type { UserRelation } from "./user-sql.ts";

/** One view for the asking process to make. `sql` names files of the asker's folder, which it knows as `$FOLDER/`. */
export interface UserView {
  readonly name: string;
  readonly sql: string;
}

/** Files of the asker's folder, by what they hold. */
export interface UserFiles {
  readonly series: readonly string[];
  readonly points: readonly string[];
  readonly texts: readonly string[];
  /** One of NDJSON, written by the platform. */
  readonly things: string | null;
}

const FOLDER = "$FOLDER/";

/** The tables that a relation is made of; views that another one needs come before it. */
export function userViews(relations: ReadonlySet<UserRelation>, files: UserFiles): readonly UserView[] {
  const views: UserView[] = [];
  const add = (name: string, sql: string): void => void views.push({ name, sql });
  const levels = LEVELS.filter(({ name }) => relations.has(name));
  const needsTelemetry = relations.has("telemetry") || levels.length > 0;
  if (needsTelemetry || relations.has("series")) {
    add("tidewire_series", parquet(files.series));
    add("series", "SELECT thing, measurement, field, type FROM tidewire_series");
  }
  if (needsTelemetry) add("telemetry", telemetry(files));
  for (const { name, width } of levels) add(name, rollup(width));
  if (relations.has("things") && files.things !== null) add("things", things(files.things));
  return views;
}

const LEVELS = [
  { name: "rollups_1m", width: "1 minute" },
  { name: "rollups_1h", width: "1 hour" },
  { name: "rollups_1d", width: "1 day" },
] as const;

function telemetry(files: UserFiles): string {
  const select = (table: readonly string[], value: string, text: string): string =>
    `SELECT p.time, s.thing, s.measurement, s.field, s.type, ${value} AS value, ${text} AS text ` +
    `FROM (${parquet(table)}) p JOIN tidewire_series s ON s.id = p.series`;
  return `${select(files.points, "p.value", "NULL::VARCHAR")} UNION ALL ${select(files.texts, "NULL::DOUBLE", "p.value")}`;
}

/** Of equal times the one that arrived last is `last`: files and their rows are in the order of arrival. */
function rollup(width: string): string {
  return (
    `SELECT time_bucket(INTERVAL '${width}', time) AS time, thing, measurement, field, count(*) AS count, sum(value) AS sum, ` +
    "min(value) AS min, max(value) AS max, avg(value) AS avg, arg_min(value, time) AS first, min(time) AS first_time, " +
    "arg_max(value, time) AS last, max(time) AS last_time FROM telemetry WHERE type <> 'string' GROUP BY ALL"
  );
}

function things(file: string): string {
  return (
    `SELECT thing, type, attributes, created, state, last_seen FROM read_json(${quoted(FOLDER + file)}, format = 'newline_delimited', ` +
    "columns = {thing: 'VARCHAR', type: 'VARCHAR', attributes: 'MAP(VARCHAR, VARCHAR)', created: 'TIMESTAMPTZ', state: 'VARCHAR', last_seen: 'TIMESTAMPTZ'})"
  );
}

function parquet(files: readonly string[]): string {
  return `SELECT * FROM read_parquet([${files.map((file) => quoted(FOLDER + file)).join(", ")}])`;
}

/** The view's statement with the folder's real path in place. */
export function viewStatement({ name, sql }: UserView, folder: string): string {
  return `CREATE VIEW ${name} AS ${sql.replaceAll(`'${FOLDER}`, `'${quoted(folder).slice(1, -1)}/`)}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
