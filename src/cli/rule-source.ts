/** A rule as a command is given it: a file of JSON or of SQL alone, a statement, or the name of one that the platform has. */
import { existsSync, readFileSync } from "node:fs";
import { basename, extname } from "node:path";
import { TidewireError, reasonOf } from "../base/mod.ts";
import { validateRule } from "../rules/mod.ts";
import type { RuleDraft } from "../rules/mod.ts";
import { clientOf } from "./connection.ts";

export interface ConnectionOptions {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
}

/** Throws RULE_INVALID, RULE_SQL_INVALID, CONFIG_FILE_UNREADABLE, NOT_FOUND. */
export async function ruleFrom(given: string, options: ConnectionOptions): Promise<RuleDraft> {
  const local = localRule(given);
  if (local !== null) return local;
  const { rule } = await clientOf(options).get<{ rule: Record<string, unknown> }>(
    `/rules/${encodeURIComponent(given)}`,
  );
  return draftOf(given, withSomeSecret(rule));
}

/** Well-formed and nobody's: the platform does not show its secrets, and nothing is signed here. */
const SOME_SECRET = `whsec_${"A".repeat(32)}`;

function withSomeSecret(rule: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const shown = (key: string, value: unknown): unknown => (key === "secret" && value === "***" ? SOME_SECRET : value);
  return JSON.parse(JSON.stringify(rule, shown)) as Readonly<Record<string, unknown>>;
}

/** Null where it is neither a file nor a statement. */
export function localRule(given: string): RuleDraft | null {
  if (/^\s*(?:select|set)\s/i.test(given)) return draftOf("statement", { sql: given });
  if (!existsSync(given)) return null;
  const text = read(given);
  const name =
    basename(given, extname(given))
      .replaceAll(/[^a-zA-Z0-9_]/g, "_")
      .slice(0, 128) || "rule";
  if (!/^\s*\{/.test(text)) return draftOf(name, { sql: text.trim() });
  try {
    const document = JSON.parse(text) as Record<string, unknown>;
    return draftOf(typeof document["ruleName"] === "string" ? document["ruleName"] : name, document);
  } catch (error) {
    if (error instanceof SyntaxError) throw unreadable(given, error);
    throw error;
  }
}

/** What the platform adds, and what a shown secret stands for, is nothing to a rule that sends nothing. */
function draftOf(name: string, document: Readonly<Record<string, unknown>>): RuleDraft {
  const { sql, description, ruleDisabled, awsIotSqlVersion, errorAction, actions = [] } = document;
  const stated = { description, ruleDisabled, awsIotSqlVersion, errorAction };
  const given = Object.fromEntries(Object.entries(stated).filter(([, value]) => value !== undefined && value !== null));
  return validateRule(name, { sql, actions, ...given }, { unanswerable: () => null });
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, cause: unknown): TidewireError {
  return new TidewireError("CONFIG_FILE_UNREADABLE", { file, reason: reasonOf(cause) }, { cause });
}
