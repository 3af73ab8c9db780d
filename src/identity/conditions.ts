/**
 * Condition blocks of policies. Semantics are IAM's: several keys and operators must all hold, several values are
 * alternatives; a missing key fails a positive operator and passes a negated one, `…IfExists` passes it,
 * `ForAllValues:` is true of no values and `ForAnyValue:` is not.
 */
import { isJsonObject } from "../base/mod.ts";
import type { JsonValue } from "../base/mod.ts";
import { compileGlob } from "./glob.ts";
import { parseIp, parseIpRange } from "./ip-range.ts";
import { bindTemplate, parseTemplate } from "./template.ts";
import type { Piece } from "./template.ts";
import { findVariable, suggestVariable } from "./variables.ts";
import type { PolicyContext, Variable } from "./variables.ts";

type Comparison = "equals" | "equals-ignoring-case" | "like" | "bool" | "ip" | "arn" | "null";

const OPERATORS: Readonly<Record<string, readonly [comparison: Comparison, negated: boolean]>> = {
  StringEquals: ["equals", false],
  StringNotEquals: ["equals", true],
  StringEqualsIgnoreCase: ["equals-ignoring-case", false],
  StringNotEqualsIgnoreCase: ["equals-ignoring-case", true],
  StringLike: ["like", false],
  StringNotLike: ["like", true],
  Bool: ["bool", false],
  IpAddress: ["ip", false],
  NotIpAddress: ["ip", true],
  ArnEquals: ["arn", false],
  ArnLike: ["arn", false],
  ArnNotEquals: ["arn", true],
  ArnNotLike: ["arn", true],
  Null: ["null", false],
};

export interface Condition {
  /** As it was written, for explanations. */
  readonly text: string;
  readonly comparison: Comparison;
  readonly negated: boolean;
  readonly quantifier: "none" | "all" | "any";
  readonly ifExists: boolean;
  readonly key: Variable;
  readonly values: readonly (readonly Piece[])[];
}

export type ConditionsResult =
  | { readonly ok: true; readonly conditions: readonly Condition[] }
  | { readonly ok: false; readonly reason: string };

export function parseConditions(block: JsonValue): ConditionsResult {
  if (!isJsonObject(block)) return { ok: false, reason: "Condition must be an object" };
  const conditions: Condition[] = [];
  for (const [operator, keys] of Object.entries(block)) {
    const parsed = parseOperator(operator);
    if (parsed === null) {
      return { ok: false, reason: `Condition has the operator '${operator}', which Tidewire does not evaluate` };
    }
    if (!isJsonObject(keys)) return { ok: false, reason: `Condition.${operator} must be an object` };
    for (const [key, values] of Object.entries(keys)) {
      const condition = parseCondition(operator, parsed, key, values);
      if (typeof condition === "string") return { ok: false, reason: `Condition.${operator}.${key} ${condition}` };
      conditions.push(condition);
    }
  }
  return { ok: true, conditions };
}

type Operator = Pick<Condition, "comparison" | "negated" | "quantifier" | "ifExists">;

function parseOperator(text: string): Operator | null {
  const match = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/.exec(text);
  const name = match?.[2] ?? "";
  const known = Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : undefined;
  if (match === null || known === undefined) return null;
  const quantifier = match[1] === undefined ? "none" : match[1] === "ForAllValues" ? "all" : "any";
  const ifExists = match[3] !== undefined;
  if (known[0] === "null" && (ifExists || quantifier !== "none")) return null;
  return { comparison: known[0], negated: known[1], quantifier, ifExists };
}

function parseCondition(operator: string, parsed: Operator, name: string, given: JsonValue): Condition | string {
  const key = findVariable(name);
  if (key === null) return `is not a condition key${suggestVariable(name)}`;
  const list = Array.isArray(given) ? (given as readonly JsonValue[]) : [given];
  const values: (readonly Piece[])[] = [];
  for (const value of list) {
    const text = typeof value === "boolean" || typeof value === "number" ? String(value) : value;
    if (typeof text !== "string") return "must be a string or a list of strings";
    const fault = valueFault(parsed.comparison, text);
    if (fault !== null) return `has the value '${text}': ${fault}`;
    const template = parseTemplate(text);
    if (!template.ok) return `has a wrong value: ${template.reason}`;
    values.push(template.pieces);
  }
  return { ...parsed, text: `${operator} ${name}`, key, values };
}

function valueFault(comparison: Comparison, text: string): string | null {
  if ((comparison === "bool" || comparison === "null") && !/^(true|false)$/i.test(text)) return "must be true or false";
  if (comparison === "ip" && parseIpRange(text) === null) return "is not an address or a CIDR range";
  if (comparison !== "arn") return null;
  const parts = text.replace(/\$\{[^}]*\}/g, "$").split(":");
  if (parts.length < 6) return "is not an ARN";
  // Its value could hold colons, and decide where the resource begins.
  return parts.slice(0, 5).some((part) => part.includes("$")) ? "has a variable before its resource" : null;
}

/** Whether the condition holds. A variable without a value inside it lets a Deny apply and keeps an Allow from applying. */
export function conditionHolds(
  condition: Condition,
  context: PolicyContext,
  connecting: boolean,
  effect: "Allow" | "Deny",
): boolean {
  const actual = condition.key.read(context, connecting);
  if (condition.comparison === "null") {
    const wanted = condition.values.map((value) => literal(value).toLowerCase());
    return wanted.includes(actual === undefined || actual.length === 0 ? "true" : "false");
  }
  const tests: ((text: string) => boolean)[] = [];
  for (const value of condition.values) {
    const bound = bindTemplate(value, context, connecting, { kind: "any" });
    if (bound.unresolved.length > 0) return effect === "Deny";
    tests.push(testOf(condition.comparison, bound.pieces));
  }
  const passes = (text: string): boolean => tests.some((test) => test(text)) !== condition.negated;
  if (condition.quantifier === "all") return (actual ?? []).every(passes);
  if (actual === undefined || actual.length === 0) {
    if (condition.ifExists) return true;
    return condition.quantifier === "any" ? false : condition.negated;
  }
  // A negated operator without a quantifier means "none of the values".
  return condition.quantifier === "none" && condition.negated ? actual.every(passes) : actual.some(passes);
}

function testOf(comparison: Exclude<Comparison, "null">, pieces: readonly Piece[]): (text: string) => boolean {
  switch (comparison) {
    case "equals": {
      const wanted = literal(pieces);
      return (text) => text === wanted;
    }
    case "equals-ignoring-case":
    case "bool": {
      const wanted = literal(pieces).toLowerCase();
      return (text) => text.toLowerCase() === wanted;
    }
    case "like": {
      const glob = compileGlob(pieces);
      return (text) => glob.matches(text);
    }
    case "ip": {
      const range = parseIpRange(literal(pieces));
      return (text) => {
        const address = parseIp(text);
        return range !== null && address !== null && address >= range.first && address <= range.last;
      };
    }
    case "arn":
      break;
  }
  return arnTest(pieces);
}

/** ARNs compare part by part; of ours only the resource, the sixth, says anything. */
function arnTest(pieces: readonly Piece[]): (text: string) => boolean {
  let colons = 0;
  const name: Piece[] = [];
  for (const piece of pieces) {
    if (colons >= 5) name.push(piece);
    else if (piece.kind === "text") {
      const parts = piece.text.split(":");
      const own = parts.slice(5 - colons).join(":");
      if (parts.length > 5 - colons && own !== "") name.push({ kind: "text", text: own });
      colons += parts.length - 1;
    }
  }
  const glob = compileGlob(name);
  return (text) => glob.matches(text.split(":").slice(5).join(":"));
}

/** The text itself: in operators that compare literally, `*` and `?` are plain characters. */
function literal(pieces: readonly Piece[]): string {
  return pieces
    .map((piece) => (piece.kind === "text" ? piece.text : piece.kind === "any" ? "*" : piece.kind === "one" ? "?" : ""))
    .join("");
}
