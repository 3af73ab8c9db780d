/** Values of an answer as text: exact, and the same in every format. */
import { DuckDBTypeId } from "@duckdb/node-api";
import type {
  DuckDBArrayType,
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBListType,
  DuckDBListValue,
  DuckDBMapType,
  DuckDBMapValue,
  DuckDBStructType,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBType,
  DuckDBUnionType,
  DuckDBUnionValue,
  DuckDBValue,
} from "@duckdb/node-api";

/** One value that is not NULL as JSON text. */
export type JsonText = (value: DuckDBValue) => string;

/**
 * Integers beyond 2^53 and decimals beyond 15 digits are strings, since most readers of JSON would round them; NaN and
 * infinities are strings, since JSON has no word for them. Points in time are ISO 8601, those with a zone in UTC.
 */
export function jsonTextOf(type: DuckDBType): JsonText {
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- every other type has a text of its own
  switch (type.typeId) {
    case DuckDBTypeId.BOOLEAN:
    case DuckDBTypeId.TINYINT:
    case DuckDBTypeId.SMALLINT:
    case DuckDBTypeId.INTEGER:
    case DuckDBTypeId.UTINYINT:
    case DuckDBTypeId.USMALLINT:
    case DuckDBTypeId.UINTEGER:
      return String;
    case DuckDBTypeId.BIGINT:
    case DuckDBTypeId.UBIGINT:
    case DuckDBTypeId.HUGEINT:
    case DuckDBTypeId.UHUGEINT:
    case DuckDBTypeId.BIGNUM:
      return (value) => integer(value as bigint);
    case DuckDBTypeId.DOUBLE:
      return (value) => float(value as number);
    case DuckDBTypeId.FLOAT:
      return (value) => float(shortest(value as number));
    case DuckDBTypeId.DECIMAL:
      return (value) => decimal(String(value));
    case DuckDBTypeId.VARCHAR:
      return type.alias === "JSON" ? (value) => oneLine(value as string) : quoted;
    case DuckDBTypeId.BLOB:
      return (value) => `"${Buffer.from((value as DuckDBBlobValue).bytes).toString("base64")}"`;
    case DuckDBTypeId.TIMESTAMP_TZ:
      return (value) => instant((value as DuckDBTimestampTZValue).micros, "Z") ?? quoted(isoOf(String(value), "Z"));
    case DuckDBTypeId.TIMESTAMP:
      return (value) => instant((value as DuckDBTimestampValue).micros, "") ?? quoted(isoOf(String(value), ""));
    case DuckDBTypeId.TIMESTAMP_S:
    case DuckDBTypeId.TIMESTAMP_MS:
    case DuckDBTypeId.TIMESTAMP_NS:
      return (value) => quoted(isoOf(String(value), ""));
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.ARRAY:
      return listText(type);
    case DuckDBTypeId.STRUCT:
      return structText(type);
    case DuckDBTypeId.MAP:
      return mapText(type);
    case DuckDBTypeId.UNION:
      return unionText(type);
    default:
      return quoted; // DATE, TIME, INTERVAL, UUID, ENUM, BIT: DuckDB's own words
  }
}

/** The same for a cell of CSV (RFC 4180): NULL is empty, an empty text is `""`. */
export function csvCell(json: string): string {
  if (json.charCodeAt(0) === 0x22) return csvText(JSON.parse(json) as string);
  return /^[-+.\w]+$/.test(json) ? json : csvText(json);
}

export function csvText(text: string): string {
  return text === "" || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function quoted(value: DuckDBValue): string {
  return JSON.stringify(String(value));
}

function integer(value: bigint): string {
  const safe = value <= 9_007_199_254_740_991n && value >= -9_007_199_254_740_991n;
  return safe ? String(value) : `"${value}"`;
}

function float(value: number): string {
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}

/** A 32-bit float widened to 64 bits shows digits that nobody gave. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

function decimal(text: string): string {
  return text.replaceAll(/[-.]/g, "").replace(/^0+/, "").length <= 15 ? text : `"${text}"`;
}

/** JSON as it was stored; outside its strings a line break is only white space, inside there is none. */
function oneLine(json: string): string {
  return /[\r\n]/.test(json) ? json.replaceAll(/[\r\n]+/g, " ") : json;
}

/** The usual case, quickly: 1970 to 2255, whose microseconds are exact in a number. Always milliseconds, and more where there are. */
function instant(micros: bigint, zone: "Z" | ""): string | null {
  const exact = Number(micros);
  if (!Number.isSafeInteger(exact) || exact < 0) return null;
  const rest = exact % 1000;
  const iso = new Date((exact - rest) / 1000).toISOString();
  return rest === 0 ? `"${iso.slice(0, -1)}${zone}"` : `"${iso.slice(0, -1)}${String(rest).padStart(3, "0")}${zone}"`;
}

/** DuckDB: `2026-01-31 12:00:00.5+00`, `infinity`, `0044-03-15 (BC) 00:00:00`. */
function isoOf(text: string, zone: "Z" | ""): string {
  const match = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?(?:[+-]\d\d(?::\d\d)?)?$/.exec(text);
  if (match === null) return text;
  const digits = match[3] ?? ".";
  return `${match[1]}T${match[2]}${digits.padEnd(digits.length <= 4 ? 4 : digits.length <= 7 ? 7 : 10, "0")}${zone}`;
}

function listText(type: DuckDBListType | DuckDBArrayType): JsonText {
  const item = nullable(jsonTextOf(type.valueType));
  return (value) => `[${(value as DuckDBListValue | DuckDBArrayValue).items.map(item).join(",")}]`;
}

function structText(type: DuckDBStructType): JsonText {
  const members = type.entryNames.map((name, index) => {
    const text = nullable(jsonTextOf(type.entryTypes[index]!));
    const key = JSON.stringify(name);
    return (entries: Readonly<Record<string, DuckDBValue>>): string => `${key}:${text(entries[name] ?? null)}`;
  });
  return (value) => `{${members.map((member) => member((value as DuckDBStructValue).entries)).join(",")}}`;
}

/** An object where the keys are texts, else a list of pairs. */
function mapText(type: DuckDBMapType): JsonText {
  const key = nullable(jsonTextOf(type.keyType));
  const text = nullable(jsonTextOf(type.valueType));
  const isObject = type.keyType.typeId === DuckDBTypeId.VARCHAR;
  return (value) => {
    const { entries } = value as DuckDBMapValue;
    return isObject
      ? `{${entries.map((entry) => `${key(entry.key)}:${text(entry.value)}`).join(",")}}`
      : `[${entries.map((entry) => `{"key":${key(entry.key)},"value":${text(entry.value)}}`).join(",")}]`;
  };
}

function unionText(type: DuckDBUnionType): JsonText {
  const texts = new Map(type.memberTags.map((tag, index) => [tag, nullable(jsonTextOf(type.memberTypes[index]!))]));
  return (value) => {
    const { tag, value: member } = value as DuckDBUnionValue;
    return texts.get(tag)?.(member) ?? "null";
  };
}

function nullable(text: JsonText): JsonText {
  return (value) => (value === null ? "null" : text(value));
}
