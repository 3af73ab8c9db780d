/** A rule that is being written: the statement beside the rest of its document, which is JSON. */
import type { JsonObject, JsonValue } from "../../base/mod.ts";
import type { RuleFault } from "../../cloud/api/contract.ts";

export interface RuleText {
  readonly sql: string;
  /** The document without its statement. */
  readonly rest: string;
}

export type DraftDocument =
  | { readonly ok: true; readonly document: JsonObject }
  | { readonly ok: false; readonly reason: string };

export function textOf({ sql, ...rest }: JsonObject): RuleText {
  return { sql: typeof sql === "string" ? sql : "", rest: JSON.stringify(rest, null, 2) };
}

export function documentOf({ sql, rest }: RuleText): DraftDocument {
  let parsed: JsonValue;
  try {
    parsed = JSON.parse(rest.trim() === "" ? "{}" : rest) as JsonValue;
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : "It is no JSON." };
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    return { ok: false, reason: 'It must be an object such as {"actions": [{"alert": {…}}]}.' };
  }
  const { sql: _, ...others } = parsed as JsonObject;
  return { ok: true, document: { ...others, sql } };
}

/** The same document, whatever the order of its keys. */
export function sameDocument(a: JsonValue, b: JsonValue): boolean {
  return canonical(a) === canonical(b);
}

function canonical(value: JsonValue): string {
  if (Array.isArray(value)) return `[${(value as readonly JsonValue[]).map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(",")}}`;
}

export interface MarkedLine {
  readonly line: string;
  /** Blanks and a caret. */
  readonly caret: string;
}

const AROUND = 40;

/** The line that a fault is in, with a caret under its place; long lines are cut around it. Null where it has no place. */
export function markedLine(sql: string, { line, column }: RuleFault): MarkedLine | null {
  if (line === null || column === null) return null;
  const text = (sql.split("\n")[line - 1] ?? "").replaceAll("\t", " ");
  const from = Math.max(0, column - 1 - AROUND);
  return { line: text.slice(from, from + 2 * AROUND), caret: `${" ".repeat(column - 1 - from)}^` };
}
