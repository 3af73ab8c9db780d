/** The functions of provisioning templates: `Ref`, `Fn::Join`, `Fn::Select`, `Fn::FindInMap`, `Fn::Split`, `Fn::Sub`. */
import type { JsonValue } from "../../base/mod.ts";
import { ProvisioningRefusal } from "./refusal.ts";

type Mappings = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, JsonValue>>>>>>;

export interface Scope {
  /** Parameters, and what the platform itself knows of the device. */
  readonly names: ReadonlySet<string>;
  readonly mappings: Mappings;
}

export interface Fault {
  readonly at: string;
  readonly reason: string;
}

const FUNCTIONS = ["Ref", "Fn::Join", "Fn::Select", "Fn::FindInMap", "Fn::Split", "Fn::Sub"] as const;
type FunctionName = (typeof FUNCTIONS)[number];

/** The call that the value is, or null where it is plain. */
function callOf(value: JsonValue): { readonly name: string; readonly argument: JsonValue } | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const keys = Object.keys(value);
  const name = keys.find((key) => key === "Ref" || key.startsWith("Fn::"));
  return name === undefined || keys.length !== 1
    ? null
    : { name, argument: (value as Record<string, JsonValue>)[name]! };
}

function isFunction(name: string): name is FunctionName {
  return (FUNCTIONS as readonly string[]).includes(name);
}

/** What is wrong with an expression whatever its parameters; null where nothing is. */
export function checkExpression(value: JsonValue, at: string, scope: Scope): Fault | null {
  if (typeof value !== "object" || value === null) return null;
  if (Array.isArray(value)) return firstFault(value, (inner, i) => checkExpression(inner, `${at}[${i}]`, scope));
  const call = callOf(value);
  if (call === null) {
    const stray = Object.keys(value).find((key) => key === "Ref" || key.startsWith("Fn::"));
    if (stray !== undefined) return { at, reason: `${stray} stands beside other members; it must be the only one` };
    return firstFault(Object.entries(value), ([key, inner]) => checkExpression(inner, `${at}.${key}`, scope));
  }
  const { name, argument } = call;
  const inside = `${at}.${name}`;
  if (!isFunction(name)) return { at: inside, reason: `there is no such function; known are ${FUNCTIONS.join(", ")}` };
  return SHAPES[name](argument, inside, scope) ?? (name === "Ref" ? null : checkExpression(argument, inside, scope));
}

function firstFault<T>(items: readonly T[], check: (item: T, index: number) => Fault | null): Fault | null {
  for (const [i, item] of items.entries()) {
    const fault = check(item, i);
    if (fault !== null) return fault;
  }
  return null;
}

function list(value: JsonValue, length: number): readonly JsonValue[] | null {
  return Array.isArray(value) && value.length === length ? (value as readonly JsonValue[]) : null;
}

const isListOrCall = (value: JsonValue): boolean => Array.isArray(value) || callOf(value) !== null;

const SHAPES: Readonly<Record<FunctionName, (argument: JsonValue, at: string, scope: Scope) => Fault | null>> = {
  Ref: (argument, at, { names }) => {
    if (typeof argument !== "string") return { at, reason: "it takes the name of a parameter" };
    return names.has(argument) ? null : { at, reason: `'${argument}' is not among the template's Parameters` };
  },
  "Fn::Join": (argument, at) => {
    const parts = list(argument, 2);
    const ok = parts !== null && typeof parts[0] === "string" && isListOrCall(parts[1]!);
    return ok ? null : { at, reason: 'it takes ["delimiter", [parts …]]' };
  },
  "Fn::Select": (argument, at) => {
    const parts = list(argument, 2);
    return parts !== null && isListOrCall(parts[1]!) ? null : { at, reason: "it takes [index, [values …]]" };
  },
  "Fn::FindInMap": (argument, at, { mappings }) => {
    const parts = list(argument, 3);
    if (parts === null) return { at, reason: "it takes [map, key, key]" };
    const [map] = parts;
    if (typeof map === "string" && !Object.hasOwn(mappings, map))
      return { at, reason: `there is no map '${map}' in Mappings` };
    return null;
  },
  "Fn::Split": (argument, at) => {
    const parts = list(argument, 2);
    const ok = parts !== null && typeof parts[0] === "string" && parts[0] !== "";
    return ok ? null : { at, reason: 'it takes ["delimiter", text]' };
  },
  "Fn::Sub": (argument, at, { names }) => {
    const parts = typeof argument === "string" ? [argument, {}] : list(argument, 2);
    const [text, own] = parts ?? [];
    if (typeof text !== "string" || typeof own !== "object" || own === null || Array.isArray(own))
      return { at, reason: 'it takes "text ${Parameter}" or ["text ${Name}", {Name: value}]' };
    for (const [, escaped, name] of text.matchAll(VARIABLE)) {
      if (escaped === "" && !names.has(name!) && !Object.hasOwn(own, name!))
        return { at, reason: `'${name!}' is not among the template's Parameters; \${!${name!}} stands for itself` };
    }
    return null;
  },
};

const VARIABLE = /\$\{(!?)([^}]+)\}/g;

export interface Known {
  readonly values: ReadonlyMap<string, string>;
  readonly mappings: Mappings;
  /** Values become part of a policy: what a device says must not widen it, nor end the text that it stands in. */
  readonly inPolicy?: boolean;
}

const WIDENS = /[*?$+#"\\\p{Cc}]/u;

/** The value with all functions replaced by their results. Throws `ProvisioningRefusal` InvalidParameters. */
export function evaluate(value: JsonValue, known: Known): JsonValue {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map((inner) => evaluate(inner, known));
  const call = callOf(value);
  if (call !== null && isFunction(call.name)) return RUN[call.name](call.argument, known);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, evaluate(inner, known)]));
}

export function evaluateText(value: JsonValue, at: string, known: Known): string {
  const result = evaluate(value, known);
  if (typeof result === "string") return result;
  if (typeof result === "number" || typeof result === "boolean") return String(result);
  throw refused(`${at} is no text`);
}

function refused(reason: string): ProvisioningRefusal {
  return new ProvisioningRefusal("parameters", "InvalidParameters", reason);
}

function lookUp(name: string, { values, inPolicy }: Known): string {
  const value = values.get(name);
  if (value === undefined) throw refused(`The parameter '${name}' is missing`);
  if (inPolicy === true && WIDENS.test(value))
    throw refused(`The parameter '${name}' holds a character that must not stand in a policy`);
  return value;
}

function texts(value: JsonValue, known: Known, what: string): readonly string[] {
  const result = evaluate(value, known);
  if (!Array.isArray(result)) throw refused(`${what} is applied to what is no list`);
  return (result as readonly JsonValue[]).map((each) => evaluateText(each, what, known));
}

const RUN: Readonly<Record<FunctionName, (argument: JsonValue, known: Known) => JsonValue>> = {
  Ref: (argument, known) => lookUp(argument as string, known),
  "Fn::Join": (argument, known) => {
    const [delimiter, parts] = argument as readonly [string, JsonValue];
    return texts(parts, known, "Fn::Join").join(delimiter);
  },
  "Fn::Select": (argument, known) => {
    const [index, values] = argument as readonly [JsonValue, JsonValue];
    const chosen = texts(values, known, "Fn::Select")[Number(evaluateText(index, "Fn::Select", known))];
    if (chosen === undefined) throw refused("Fn::Select asks for what is not in its list");
    return chosen;
  },
  "Fn::FindInMap": (argument, known) => {
    const keys = (argument as readonly JsonValue[]).map((key) => evaluateText(key, "Fn::FindInMap", known));
    let found: unknown = known.mappings;
    for (const key of keys) {
      if (typeof found !== "object" || found === null || !Object.hasOwn(found, key))
        throw refused(`Mappings have nothing at ${keys.join(" / ")}`);
      found = (found as Record<string, unknown>)[key];
    }
    return found as JsonValue;
  },
  "Fn::Split": (argument, known) => {
    const [delimiter, text] = argument as readonly [string, JsonValue];
    return evaluateText(text, "Fn::Split", known).split(delimiter);
  },
  "Fn::Sub": (argument, known) => {
    const [text, own] =
      typeof argument === "string" ? [argument, {}] : (argument as unknown as [string, Record<string, JsonValue>]);
    return text.replace(VARIABLE, (_all, escaped: string, name: string) => {
      if (escaped !== "") return `\${${name}}`;
      const mine = Object.hasOwn(own, name) ? own[name] : undefined;
      return mine === undefined ? lookUp(name, known) : evaluateText(mine, "Fn::Sub", known);
    });
  },
};
