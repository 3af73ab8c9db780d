/** A row per match, a batch in one INSERT. The SELECT names the columns; the database turns its values into their types. */
import { isJsonObject, mib, seconds } from "../../base/mod.ts";
import type { JsonValue } from "../../base/mod.ts";
import { invalid, only, optionalText, present, record, template, text } from "./checks.ts";
import type { TemplateScope } from "../../sql/mod.ts";
import type { ActionKind, Carrier, Match } from "./kind.ts";
import { encodeJson, textOf } from "./rendering.ts";
import { SERVER_KEYS, mapServerSecrets, serverLabel, serverSettings, validateServer } from "./server.ts";
import type { Schemes, ServerBody } from "./server.ts";

/** The path of the URL is the database; `postgresqls` is with TLS. */
export interface PostgresqlBody extends ServerBody {
  /** `table` or `schema.table`. */
  readonly table: string;
  /** Names of columns, which are keys of the SELECT's result; or column → template. */
  readonly columns: readonly string[] | Readonly<Record<string, string>>;
  /** A unique column for the event's id: one that is sent twice is stored once. */
  readonly key?: string;
}

const SCHEMES: Schemes = ["postgresql", "postgresqls"];
const COLUMNS_MAX = 64;
/** PostgreSQL cuts longer names off. */
const NAME_BYTES_MAX = 63;

const carrier: Carrier = {
  name: "postgresql",
  // 65,535 parameters are the protocol's limit: 64 columns and the key.
  batchMax: 1_000,
  batchBytesMax: mib(1),
  linger: 20,
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  http: null,
};

export const postgresql: ActionKind<PostgresqlBody> = {
  name: "postgresql",
  carrier,
  validate(given, at) {
    only(given, at, [...SERVER_KEYS, "table", "columns", "key"]);
    return present({
      ...validateServer(given, at, SCHEMES),
      table: text(given["table"], `${at}.table`, 2 * NAME_BYTES_MAX + 1),
      columns: columnsOf(given["columns"], `${at}.columns`),
      key: optionalText(given["key"], `${at}.key`, NAME_BYTES_MAX),
    });
  },
  mapSecrets: mapServerSecrets,
  plan(body, scope) {
    const { table, columns, key = null } = body;
    const names = Array.isArray(columns) ? (columns as readonly string[]) : Object.keys(columns);
    const row = Array.isArray(columns)
      ? selected(names)
      : rendered(Object.values(columns as Record<string, string>), scope);
    return {
      settings: { ...serverSettings(body, SCHEMES, 5432), table, columns: names, key },
      label: `${serverLabel(body)} ${table}`,
      render: (match) => ({ body: encodeJson(row(match)), fields: {} }),
    };
  },
};

function columnsOf(input: unknown, at: string): readonly string[] | Record<string, string> {
  const names = Array.isArray(input) ? (input as unknown[]) : Object.keys(record(input, at));
  if (names.length === 0 || names.length > COLUMNS_MAX) throw invalid(at, `1 to ${COLUMNS_MAX} columns are needed`);
  const checked = names.map((name, i) => text(name, `${at}[${i}]`, NAME_BYTES_MAX));
  if (new Set(checked).size < checked.length) throw invalid(at, "a column is named twice");
  if (Array.isArray(input)) return checked;
  const templates = record(input, at);
  return Object.fromEntries(checked.map((name) => [name, template(templates[name], `${at}.${name}`)]));
}

type RowOf = (match: Match) => readonly (string | null)[];

/** What is not there is NULL; objects and arrays are JSON. */
function selected(names: readonly string[]): RowOf {
  return ({ value }) => {
    const fields = !(value instanceof Uint8Array) && isJsonObject(value) ? value : {};
    return names.map((name) => (Object.hasOwn(fields, name) ? columnText(fields[name]!) : null));
  };
}

function columnText(value: JsonValue): string | null {
  if (value === null || typeof value === "string") return value;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A template that gives nothing is NULL. */
function rendered(templates: readonly string[], scope: TemplateScope): RowOf {
  const texts = templates.map((source) => textOf(source, scope));
  return (match) => texts.map((of) => of(match) || null);
}
