/** The checks that action kinds share. Each throws RULE_INVALID, which names the place and what was expected. */
import { TidewireError } from "../../base/mod.ts";
import { Externals, SqlError, Variables, compileTemplate } from "../../sql/mod.ts";

export type Given = Readonly<Record<string, unknown>>;

/** RFC 9110 section 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
/** Visible ASCII and blanks: no line breaks, so no header can be smuggled in. */
const HEADER_VALUE = /^[\x20-\x7e\t]{0,2048}$/;
/** Headers that are ours or the connection's. */
const HEADERS_TAKEN: ReadonlySet<string> = new Set(
  "connection content-length expect host keep-alive te trailer transfer-encoding upgrade webhook-id webhook-timestamp webhook-signature".split(
    " ",
  ),
);
const HEADERS_MAX = 32;
const URL_CHARS_MAX = 2048;
export const TEMPLATE_CHARS_MAX = 2048;
export const SECRET_CHARS_MAX = 4096;

export function invalid(at: string, reason: string): TidewireError {
  return new TidewireError("RULE_INVALID", { at, reason });
}

export function record(input: unknown, at: string): Given {
  if (typeof input === "object" && input !== null && !Array.isArray(input)) return input as Given;
  throw invalid(at, "it must be an object");
}

export function only(given: Given, at: string, keys: readonly string[]): void {
  for (const key of Object.keys(given)) {
    if (keys.includes(key)) continue;
    const place = at === "" ? key.slice(0, 60) : `${at}.${key.slice(0, 60)}`;
    throw invalid(place, `it is not known; there are ${keys.join(", ")}`);
  }
}

export function text(input: unknown, at: string, charsMax: number): string {
  if (typeof input !== "string" || input === "") throw invalid(at, "it is missing, or not text");
  if (input.length > charsMax) throw invalid(at, `it is longer than ${charsMax} characters`);
  return input;
}

export function optionalText(input: unknown, at: string, charsMax: number): string | undefined {
  return input === undefined || input === "" ? undefined : text(input, at, charsMax);
}

export function optionalFlag(input: unknown, at: string): boolean | undefined {
  if (input === undefined || typeof input === "boolean") return input;
  throw invalid(at, "it must be true or false");
}

export function optionalInteger(input: unknown, at: string, min: number, max: number): number | undefined {
  if (input === undefined) return undefined;
  if (typeof input === "number" && Number.isInteger(input) && input >= min && input <= max) return input;
  throw invalid(at, `it must be a whole number from ${min} to ${max}`);
}

export function optionalChoice<T extends string>(input: unknown, at: string, choices: readonly T[]): T | undefined {
  if (input === undefined) return undefined;
  const found = choices.find((choice) => choice === input);
  if (found === undefined) throw invalid(at, `it must be one of ${choices.join(", ")}`);
  return found;
}

export function template(input: unknown, at: string, charsMax = TEMPLATE_CHARS_MAX): string {
  const source = text(input, at, charsMax);
  checkTemplate(source, at);
  return source;
}

export function optionalTemplate(input: unknown, at: string, charsMax = TEMPLATE_CHARS_MAX): string | undefined {
  return input === undefined || input === "" ? undefined : template(input, at, charsMax);
}

function checkTemplate(source: string, at: string): void {
  try {
    compileTemplate(source, { variables: variablesNamedIn(source), calls: new Externals() });
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw invalid(at, error.reason + (error.hint === null ? "" : ` (${error.hint})`));
  }
}

/** Which variables there are says the statement, against which a rule's templates are compiled once more. */
export function variablesNamedIn(source: string): Variables {
  const variables = new Variables();
  for (const [, name] of source.matchAll(/@([A-Za-z0-9_]{1,64})/g)) variables.add(name!, () => undefined);
  return variables;
}

/** Without its fragment. */
export function httpUrl(input: unknown, at: string): string {
  const given = text(input, at, URL_CHARS_MAX);
  const parsed = URL.canParse(given) ? new URL(given) : null;
  if (parsed === null || (parsed.protocol !== "https:" && parsed.protocol !== "http:")) {
    throw invalid(at, "it must be an http:// or https:// address");
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw invalid(at, "an address with a user or password is refused; use a header");
  }
  parsed.hash = "";
  return parsed.href;
}

/** `scheme://host[:port]` of a server that is not spoken to in HTTP; who logs in stands in keys of its own. */
export function serverUrl(input: unknown, at: string, schemes: readonly string[]): URL {
  const given = text(input, at, URL_CHARS_MAX);
  const parsed = URL.canParse(given) ? new URL(given) : null;
  const allowed = schemes.map((scheme) => `${scheme}://`).join(" or ");
  if (parsed === null || !schemes.includes(parsed.protocol.slice(0, -1)) || parsed.hostname === "") {
    throw invalid(at, `it must be an address that begins with ${allowed}`);
  }
  if (parsed.username !== "" || parsed.password !== "") {
    throw invalid(at, "an address with a user or password is refused; write them as user and password");
  }
  if (parsed.search !== "" || parsed.hash !== "") {
    throw invalid(at, `an address with ? or # is refused; TLS is in its scheme, ${schemes.at(-1)}://`);
  }
  return parsed;
}

/** As they were written; names in lower case are the sender's business. */
export function headers(input: unknown, at: string): Record<string, string> {
  const entries = Object.entries(record(input, at));
  if (entries.length > HEADERS_MAX) throw invalid(at, `at most ${HEADERS_MAX} headers are allowed`);
  for (const [name, value] of entries) {
    const where = `${at}.${name.slice(0, 60)}`;
    if (!HEADER_NAME.test(name)) throw invalid(where, "this is not a header name");
    if (HEADERS_TAKEN.has(name.toLowerCase())) throw invalid(where, "Tidewire sets this header itself");
    if (typeof value !== "string" || !isHeaderValue(value)) {
      throw invalid(where, "it must be text without line breaks, at most 2048 ASCII characters");
    }
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

export function isHeaderValue(value: string): boolean {
  return HEADER_VALUE.test(value);
}

/** Without the keys that have no value: what a user left out is left out. */
export function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
