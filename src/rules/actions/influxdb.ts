/** Points for InfluxDB by its line protocol over HTTP, version 1 or 2. Source: InfluxData's line protocol reference and write API. */
import { isJsonObject, mib, seconds } from "../../base/mod.ts";
import type { JsonObject, JsonValue } from "../../base/mod.ts";
import { DONE, dead, deliveryFails } from "../delivery/sender.ts";
import { failureOfHttp } from "../delivery/verdict.ts";
import {
  SECRET_CHARS_MAX,
  httpUrl,
  invalid,
  only,
  optionalTemplate,
  optionalText,
  present,
  record,
  template,
  text,
} from "./checks.ts";
import type { ActionKind, Carrier, Match } from "./kind.ts";
import { withDoubles } from "../../sql/mod.ts";
import { encode, textOf } from "./rendering.ts";

export interface InfluxdbBody {
  /** Of the server, without a path. */
  readonly url: string;
  /** Version 2: organisation, bucket and token. */
  readonly org?: string;
  readonly bucket?: string;
  readonly token?: string;
  /** Version 1: database, and who writes. */
  readonly database?: string;
  readonly user?: string;
  readonly password?: string;
  /** Templates. */
  readonly measurement: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** Milliseconds since 1970; without it, when the message was received. */
  readonly timestamp?: string;
}

const NAME_CHARS_MAX = 256;
const TAGS_MAX = 32;

const carrier: Carrier = {
  name: "influxdb",
  batchMax: 5_000,
  batchBytesMax: mib(1),
  linger: 50,
  concurrency: 1,
  timeout: seconds(15),
  ordered: true,
  http: {
    request(settings, parcels) {
      const { url, authorization } = settings as { url: string; authorization?: string };
      const headers = { "content-type": "text/plain; charset=utf-8" };
      return {
        url,
        headers: authorization === undefined ? headers : { ...headers, authorization },
        body: joined(parcels.map(({ body }) => body)),
      };
    },
    verdict(response, now) {
      if (response.status >= 200 && response.status < 300) return DONE;
      // 401, 403, 404: a wrong token, or a bucket that is not there yet. Points are kept while somebody mends it.
      if (response.status === 401 || response.status === 403 || response.status === 404)
        return deliveryFails(`HTTP ${response.status}`);
      // The server has read the lines and says which it does not take.
      if (response.status === 400 || response.status === 422)
        return dead(`HTTP ${response.status}: ${firstLine(response.body)}`);
      return failureOfHttp(response, now);
    },
    splits: (status) => status === 400 || status === 413 || status === 422,
  },
};

function firstLine(body: string): string {
  return body.split("\n")[0]!.slice(0, 200);
}

function joined(lines: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(lines.reduce((sum, line) => sum + line.length + 1, 0));
  let at = 0;
  for (const line of lines) {
    bytes.set(line, at);
    bytes[at + line.length] = 0x0a;
    at += line.length + 1;
  }
  return bytes;
}

export const influxdb: ActionKind<InfluxdbBody> = {
  name: "influxdb",
  carrier,
  validate(given, at) {
    const keys = ["url", "org", "bucket", "token", "database", "user", "password", "measurement", "tags", "timestamp"];
    only(given, at, keys);
    const optional = (key: string): string | undefined => optionalText(given[key], `${at}.${key}`, SECRET_CHARS_MAX);
    const [org, bucket, token] = ["org", "bucket", "token"].map(optional);
    const [database, user, password] = ["database", "user", "password"].map(optional);
    if ((bucket === undefined) === (database === undefined)) {
      throw invalid(at, "it must have a bucket (version 2) or a database (version 1)");
    }
    if (bucket !== undefined && org === undefined) throw invalid(`${at}.org`, "it is missing, or not text");
    const measurement = template(given["measurement"], `${at}.measurement`);
    const timestamp = optionalTemplate(given["timestamp"], `${at}.timestamp`);
    const tags = given["tags"] === undefined ? undefined : tagsOf(given["tags"], `${at}.tags`);
    const url = httpUrl(given["url"], `${at}.url`);
    return present({ url, org, bucket, token, database, user, password, measurement, tags, timestamp });
  },
  mapSecrets: (body, change) =>
    present({
      ...body,
      token: body.token === undefined ? undefined : change(body.token, "***", "token"),
      password: body.password === undefined ? undefined : change(body.password, "***", "password"),
    }),
  plan(body, scope) {
    const measurement = textOf(body.measurement, scope);
    const tags = Object.entries(body.tags ?? {}).map(
      ([name, value]) => [escapeTag(name), textOf(value, scope)] as const,
    );
    const timestamp = body.timestamp === undefined ? null : textOf(body.timestamp, scope);
    return {
      settings: settingsOf(body),
      label: `${new URL(body.url).origin} ${body.bucket ?? body.database!}`,
      render(match) {
        const series = [escapeMeasurement(measurement(match))];
        for (const [name, text] of tags) {
          const value = escapeTag(text(match));
          if (value !== "") series.push(`${name}=${value}`); // an empty tag value is no line protocol
        }
        const given = timestamp === null ? NaN : Number(timestamp(match) || NaN);
        const at = Number.isFinite(given) ? Math.round(given) : match.input.receivedAt;
        return { body: encode(`${series.join(",")} ${fieldsOf(match)} ${at}`), fields: {} };
      },
    };
  },
};

function tagsOf(input: unknown, at: string): Record<string, string> {
  const entries = Object.entries(record(input, at));
  if (entries.length > TAGS_MAX) throw invalid(at, `at most ${TAGS_MAX} tags are allowed`);
  return Object.fromEntries(
    entries.map(([name, value]) => [text(name, at, NAME_CHARS_MAX), template(value, `${at}.${name}`)]),
  );
}

function settingsOf({ url, org, bucket, token, database, user, password }: InfluxdbBody): JsonObject {
  if (bucket !== undefined) {
    const query = new URLSearchParams({ org: org!, bucket, precision: "ms" });
    return {
      url: `${new URL(`/api/v2/write?${query}`, url)}`,
      ...(token === undefined ? {} : { authorization: `Token ${token}` }),
    };
  }
  const basic = user === undefined ? {} : { authorization: `Basic ${btoa(latin1(`${user}:${password ?? ""}`))}` };
  return { url: `${new URL(`/write?${new URLSearchParams({ db: database!, precision: "ms" })}`, url)}`, ...basic };
}

/** UTF-8 bytes as `btoa` wants them. */
function latin1(text: string): string {
  return String.fromCharCode(...encode(text));
}

/** Objects and arrays become `a.b` and `a.0`; Null is left out. A number is always a float, so that 20 and 20.5 are one field. */
function fieldsOf({ value }: Match): string {
  const fields: string[] = [];
  const add = (name: string, item: JsonValue): void => {
    if (typeof item === "number") fields.push(`${escapeTag(name)}=${item}`);
    else if (typeof item === "boolean") fields.push(`${escapeTag(name)}=${item}`);
    else if (typeof item === "string") fields.push(`${escapeTag(name)}="${escapeString(item)}"`);
    else if (Array.isArray(item)) for (const [i, part] of item.entries()) add(`${name}.${i}`, part as JsonValue);
    else if (isJsonObject(item)) for (const [key, part] of Object.entries(item)) add(`${name}.${key}`, part);
  };
  if (value instanceof Uint8Array) return "";
  const doubles = withDoubles(value) ?? null; // as its fields are
  if (isJsonObject(doubles)) for (const [key, item] of Object.entries(doubles)) add(key, item);
  else add("value", doubles);
  return fields.join(",");
}

/** A line break would begin another point, and a backslash at the end would take the next separator along. */
function plain(text: string): string {
  return text.replaceAll(/[\r\n]+/g, " ").replaceAll(/\\+$/g, "");
}

export function escapeMeasurement(text: string): string {
  return plain(text).replaceAll(/[, ]/g, "\\$&");
}

/** Keys and values of tags, keys of fields. */
export function escapeTag(text: string): string {
  return plain(text).replaceAll(/[,= ]/g, "\\$&");
}

/** Line breaks are allowed in a string. */
export function escapeString(text: string): string {
  return text.replaceAll(/["\\]/g, "\\$&");
}
