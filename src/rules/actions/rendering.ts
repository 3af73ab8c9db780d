/** Templates and texts that action kinds share. */
import { compileTemplate } from "../../sql/mod.ts";
import type { TemplateScope } from "../../sql/mod.ts";
import type { Match, Rendered } from "./kind.ts";

const utf8 = new TextEncoder();

export const encode = (text: string): Uint8Array => utf8.encode(text);

export const encodeJson = (value: object): Uint8Array => utf8.encode(JSON.stringify(value));

/** A receiver's answer; empty where it is no JSON object. */
export function parsedObject(json: string): Readonly<Record<string, unknown>> {
  try {
    const value = JSON.parse(json) as unknown;
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

export type TextOf = (match: Match) => string;

/** A template of an action of the statement, or a text that needs no evaluation at all. */
export function textOf(source: string, scope: TemplateScope, escape?: (value: string) => string): TextOf {
  if (!source.includes("${")) return () => source;
  const template = compileTemplate(source, scope);
  return ({ input, variables }) => template.render(input, variables, escape);
}

/** The text of a chat message: the user's template, or rule, thing and the SELECT's result. */
export function chatText(
  source: string | undefined,
  style: { readonly strong: (text: string) => string; readonly escape: (value: string) => string },
  scope: TemplateScope,
): TextOf {
  if (source !== undefined) return textOf(source, scope, style.escape);
  return ({ value, variables }) => {
    const result = value instanceof Uint8Array ? `${value.length} bytes` : JSON.stringify(value);
    return `${style.strong(variables["rule"]!)} · ${style.escape(variables["thing"]!)}\n${style.escape(result)}`;
  };
}

/** At most so many UTF-16 units, never half a character. */
export function shortened(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  const cut = text.slice(0, charsMax - 1);
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

export const JSON_TYPE = { "content-type": "application/json" } as const;

/** A body that is an object of the receiver's own format. */
export function jsonBody(value: object): Rendered {
  return { body: encodeJson(value), fields: {} };
}
