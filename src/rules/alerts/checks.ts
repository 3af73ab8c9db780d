/** Reads what a user wrote, and names the place where it is wrong. */
import { invalid } from "../actions/checks.ts";
import { spanIn } from "../../base/mod.ts";
import type { Millis } from "../../base/mod.ts";
import { MATCHERS_MAX, parseMatcher } from "./matchers.ts";
import type { Matcher } from "./matchers.ts";

export type Json = Readonly<Record<string, unknown>>;

export { invalid };

export function objectAt(input: unknown, at: string, keys: readonly string[]): Json {
  if (typeof input !== "object" || input === null || Array.isArray(input)) throw invalid(at, "it must be an object");
  for (const key of Object.keys(input)) {
    if (!keys.includes(key))
      throw invalid(`${at}.${key.slice(0, 60)}`, `it is not known; there are ${keys.join(", ")}`);
  }
  return input as Json;
}

export function listAt(input: unknown, at: string, max: number): readonly unknown[] {
  if (input === undefined) return [];
  if (!Array.isArray(input)) throw invalid(at, "it must be a list");
  if (input.length > max) throw invalid(at, `at most ${max} are allowed`);
  return input;
}

export function textAt(input: unknown, at: string, charsMax = 1024): string {
  if (typeof input !== "string" || input === "") throw invalid(at, "it is missing, or not text");
  if (input.length > charsMax) throw invalid(at, `at most ${charsMax} characters are allowed`);
  return input;
}

export function numberAt(input: unknown, at: string, min: number, max: number): number {
  if (typeof input === "number" && input >= min && input <= max) return input;
  throw invalid(at, `it must be a number from ${min} to ${max}`);
}

export function countAt(input: unknown, at: string, min: number, max: number): number {
  if (typeof input === "number" && Number.isInteger(input) && input >= min && input <= max) return input;
  throw invalid(at, `it must be a whole number from ${min} to ${max}`);
}

export function flagAt(input: unknown, at: string): boolean {
  if (typeof input !== "boolean") throw invalid(at, "it must be true or false");
  return input;
}

export function matchersAt(input: unknown, at: string): Matcher[] {
  return listAt(input, at, MATCHERS_MAX).map((text, i) => {
    const matcher = typeof text === "string" ? parseMatcher(text) : null;
    if (matcher === null)
      throw invalid(`${at}[${i}]`, "it must be NAME=VALUE or NAME!=VALUE, as in thing=pump-*|fan-*");
    return matcher;
  });
}

/** `30s`, `5min`, `4h`, `1d`; several may stand together: `1h30min`. */
export function spanAt(input: unknown, at: string, max: Millis): Millis {
  const span = input === "0" ? 0 : typeof input === "string" ? spanIn(input) : null;
  if (span === null) throw invalid(at, "it must be a span of time, as in 30s, 5min, 4h or 1d");
  if (span > max) throw invalid(at, `at most ${max / 1000} seconds are allowed`);
  return span;
}
