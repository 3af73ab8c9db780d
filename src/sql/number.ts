/** Numbers as they are written, in the statement and in the payload. */
import { parseJsonNumbers } from "../base/mod.ts";
import type { JsonLimits } from "../base/mod.ts";
import { kept } from "./arithmetic.ts";
import { Decimal } from "./decimal.ts";
import { numberOfText } from "./value.ts";
import type { SqlNumber, SqlValue } from "./value.ts";
import { DEFAULT_SQL_VERSION, isFirstVersion } from "./version.ts";
import type { SqlVersion } from "./version.ts";

/** Version 2015: a number with a point is a Decimal, even 10.0 (gotcha 1). Undefined beyond 9.9E999. */
export function numberWritten(text: string, version: SqlVersion): SqlNumber | undefined {
  if (!isFirstVersion(version) || !text.includes(".")) return numberOfText(text);
  const decimal = Decimal.parse(text);
  return decimal === null ? undefined : kept(decimal);
}

export interface ParsedPayload {
  /** Undefined where the payload is not JSON, or too deep or large. */
  readonly json: SqlValue;
  /** Whether there are numbers in it that are longer than a double: for `SqlInput.exact`. */
  readonly exact: boolean;
}

/** The payload for `SqlInput.json`; for `SqlInput.written` with version 2015-10-08. As fast as `parseJson` for most. */
export function parsePayload(
  bytes: Uint8Array,
  limits: JsonLimits,
  version: SqlVersion = DEFAULT_SQL_VERSION,
): ParsedPayload {
  const numberOf = (written: string): SqlNumber | null => numberWritten(written, version) ?? null;
  const result = parseJsonNumbers(bytes, limits, numberOf, isFirstVersion(version));
  return { json: result.ok ? result.value : undefined, exact: result.replaced === true };
}
