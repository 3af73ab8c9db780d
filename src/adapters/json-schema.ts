/**
 * JSON Schema, drafts 2020-12 and 07, by Ajv. A schema is a user's and a payload a stranger's: `$ref` stays within the schema, patterns
 * run in linear time, and what a value may cost is bounded before anything is compiled.
 */
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ErrorObject, Options } from "ajv";
import { LIMITS, isJsonObject, reasonOf } from "../base/mod.ts";
import type { JsonObject, JsonValue } from "../base/mod.ts";
import { LinearRegExp } from "../sql/mod.ts";

/** Null where the value fits, else one clause: `/temperature must be <= 100`. */
export type SchemaCheck = (value: JsonValue) => string | null;

/** What is wrong with a schema; `at`: path of the key. */
export class SchemaFault extends Error {
  readonly at: string;

  constructor(at: string, reason: string) {
    super(reason);
    this.name = "SchemaFault";
    this.at = at;
  }
}

const DRAFT_07 = /^https?:\/\/json-schema\.org\/draft-07\/schema#?$/;
const DRAFT_2020 = /^https:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/;
/** Schemas that apply to the value itself, each alone or in a list or by name. */
const IN_PLACE = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"] as const;
/** Schemas that apply to its members or items; of those of one group, one at a time applies to a member. */
const BELOW: readonly (readonly string[])[] = [
  ["properties"],
  ["patternProperties"],
  ["additionalProperties", "unevaluatedProperties"],
  ["propertyNames"],
  ["items", "prefixItems", "additionalItems", "unevaluatedItems"],
  ["contains"],
];
const REFERENCES = ["$ref", "$dynamicRef", "$recursiveRef"] as const;

/** Throws `SchemaFault`. */
export function compileSchema(schema: JsonObject): SchemaCheck {
  const draft = schema["$schema"] ?? "https://json-schema.org/draft/2020-12/schema";
  const is07 = typeof draft === "string" && DRAFT_07.test(draft);
  if (!is07 && !(typeof draft === "string" && DRAFT_2020.test(draft))) {
    throw new SchemaFault(
      "$schema",
      "it must be https://json-schema.org/draft/2020-12/schema or http://json-schema.org/draft-07/schema#",
    );
  }
  const metadata = new Set<string>();
  surveyed(schema, metadata);
  if (
    checksOf(schema, schema, LIMITS.schemas.payloadDepthMax, new Map(), new Set()) > LIMITS.schemas.checksPerValueMax
  ) {
    throw new SchemaFault("", `one value may be looked at more than ${LIMITS.schemas.checksPerValueMax} times`);
  }
  const steps = { left: LIMITS.schemas.patternStepsMax };
  const options: Options = {
    strict: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    logger: false,
    formats: FORMATS,
    code: { regExp: Object.assign((pattern: string) => linear(pattern, steps), { code: "linear" }) },
  };
  const ajv = is07 ? new Ajv(options) : new Ajv2020(options);
  for (const keyword of metadata) ajv.addKeyword(keyword);
  const validate = compiled(ajv, schema);
  return (value) => {
    steps.left = LIMITS.schemas.patternStepsMax;
    if (validate(value)) return null;
    const reason = steps.left < 0 ? "its texts cost too much to compare with the patterns" : reasonIn(validate.errors);
    return reason.slice(0, LIMITS.schemas.reasonCharsMax);
  };
}

function compiled(ajv: Ajv | Ajv2020, schema: JsonObject): ReturnType<Ajv["compile"]> {
  if (ajv.validateSchema(schema) !== true) {
    const [first] = ajv.errors ?? [];
    throw new SchemaFault(
      (first?.instancePath ?? "").slice(1).replaceAll("/", "."),
      first?.message ?? "it is no schema",
    );
  }
  try {
    return ajv.compile(schema);
  } catch (error) {
    throw new SchemaFault(
      "",
      reasonOf(error)
        .split("\n")[0]!
        .replace(/^strict mode: /, ""),
    );
  }
}

function reasonIn(errors: readonly ErrorObject[] | null | undefined): string {
  const [first] = errors ?? [];
  if (first === undefined) return "it does not fit";
  const { instancePath, message = "does not fit", params } = first;
  const { additionalProperty, unevaluatedProperty, allowedValues } = params as Readonly<Record<string, unknown>>;
  const named = additionalProperty ?? unevaluatedProperty;
  const detail =
    typeof named === "string" ? `: ${named}` : Array.isArray(allowedValues) ? `: ${JSON.stringify(allowedValues)}` : "";
  return `${instancePath === "" ? "it" : instancePath} ${message}${detail}`;
}

const linear = (pattern: string, steps: { left: number }): { test(text: string): boolean; toString(): string } => {
  const found = new LinearRegExp(withEndOfText(pattern), false);
  // Ajv knows patterns by their text: two with the same would be one.
  return { test: (text) => found.exec(text, 0, steps) instanceof Int32Array, toString: () => `/${pattern}/` };
};

/** `$` of ECMA-262 is the end of the text, and not also the line end ahead of it. */
function withEndOfText(pattern: string): string {
  let inClass = false;
  return pattern.replace(/\\[\s\S]|[[\]$]/g, (found) => {
    if (found === "[") inClass = true;
    else if (found === "]") inClass = false;
    return found === "$" && !inClass ? "\\z" : found;
  });
}

const isDate = (text: string): boolean => {
  const at = /^\d{4}-\d\d-\d\d$/.test(text) ? new Date(text) : null; // the 30th of February becomes the 2nd of March
  return at !== null && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
};

const FORMATS: Record<string, RegExp | ((text: string) => boolean)> = {
  date: isDate,
  "date-time": (text: string) =>
    isDate(text.slice(0, 10)) &&
    /^[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?(?:[Zz]|[-+]\d\d:?\d\d)$/.test(text.slice(10)),
  uuid: /^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$/,
  ipv4: /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/,
};

/** Every object of the schema: how deep, how many; gathers keywords that begin with `x-`, which only describe. */
function surveyed(schema: JsonObject, metadata: Set<string>): void {
  const { schemaDepthMax, schemaNodesMax, uniqueItemsMax } = LIMITS.schemas;
  let nodes = 0;
  const visit = (value: JsonValue, at: string, depth: number): void => {
    if (depth > schemaDepthMax) throw new SchemaFault(at, `it is nested deeper than ${schemaDepthMax} levels`);
    if (Array.isArray(value)) value.forEach((item: JsonValue, i) => visit(item, `${at}[${i}]`, depth + 1));
    if (!isJsonObject(value)) return;
    if (++nodes > schemaNodesMax) throw new SchemaFault("", `it has more than ${schemaNodesMax} objects`);
    for (const key of REFERENCES) {
      const target = value[key];
      if (typeof target === "string" && !target.startsWith("#")) {
        throw new SchemaFault(path(at, key), "only what is within the schema can be referred to: it must begin with #");
      }
    }
    if (at !== "" && typeof value["$id"] === "string")
      throw new SchemaFault(path(at, "$id"), "only the whole may have one");
    if (value["uniqueItems"] === true && !(Number(value["maxItems"]) <= uniqueItemsMax)) {
      throw new SchemaFault(path(at, "uniqueItems"), `it needs a maxItems of ${uniqueItemsMax} or less beside it`);
    }
    for (const [key, below] of Object.entries(value)) {
      if (key.startsWith("x-")) metadata.add(key);
      else visit(below, path(at, key), depth + 1);
    }
  };
  visit(schema, "", 0);
}

function path(at: string, key: string): string {
  return at === "" ? key : `${at}.${key}`;
}

/** How often a value, or the one below it that is looked at most, is checked at most. */
function checksOf(
  schema: JsonValue | undefined,
  root: JsonObject,
  depth: number,
  known: Map<JsonObject, number[]>,
  open: Set<JsonObject>,
): number {
  if (schema === undefined || !isJsonObject(schema) || depth === 0) return 1;
  const before = known.get(schema)?.[depth];
  if (before !== undefined) return before;
  if (open.has(schema)) throw new SchemaFault("$ref", "it refers to itself without going deeper");
  open.add(schema);
  const { checksPerValueMax } = LIMITS.schemas;
  const most = (value: JsonValue | undefined, levels: number, sum: boolean, within: Set<JsonObject>): number => {
    const each = alternatives(value).map((one) => checksOf(one, root, levels, known, within));
    return sum ? each.reduce((all, one) => Math.min(checksPerValueMax + 1, all + one), 0) : Math.max(0, ...each);
  };
  let count = 1;
  for (const keyword of IN_PLACE) count += most(schema[keyword], depth, true, open);
  for (const key of REFERENCES) {
    const target = schema[key];
    if (typeof target === "string") count += checksOf(referred(root, target), root, depth, known, open);
  }
  for (const group of BELOW) {
    const overlap = group[0] === "patternProperties";
    count += Math.max(...group.map((keyword) => most(schema[keyword], depth - 1, overlap, new Set())));
  }
  open.delete(schema);
  const result = Math.min(count, checksPerValueMax + 1);
  const kept = known.get(schema) ?? [];
  kept[depth] = result;
  known.set(schema, kept);
  return result;
}

/** A schema, a list of them, or several by name. */
function alternatives(value: JsonValue | undefined): readonly JsonValue[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value as readonly JsonValue[];
  if (!isJsonObject(value)) return [value];
  // A map of schemas and a schema look alike; both ways of reading it count, which only overstates.
  return [value, ...Object.values(value).filter((one) => isJsonObject(one))];
}

/** `#`, `#/…`, or an anchor, which is looked for. */
function referred(root: JsonObject, target: string): JsonValue | undefined {
  if (target === "#") return root;
  if (!target.startsWith("#/")) return anchored(root, target.slice(1));
  let at: JsonValue | undefined = root;
  for (const part of target.slice(2).split("/")) {
    const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    at = Array.isArray(at)
      ? (at as JsonValue[])[Number(key)]
      : at !== undefined && isJsonObject(at)
        ? at[key]
        : undefined;
  }
  return at;
}

function anchored(value: JsonValue, name: string): JsonValue | undefined {
  if (Array.isArray(value)) return first((value as JsonValue[]).map((item) => () => anchored(item, name)));
  if (!isJsonObject(value)) return undefined;
  if (value["$anchor"] === name || value["$dynamicAnchor"] === name) return value;
  return first(Object.values(value).map((item) => () => anchored(item, name)));
}

function first(found: readonly (() => JsonValue | undefined)[]): JsonValue | undefined {
  for (const look of found) {
    const value = look();
    if (value !== undefined) return value;
  }
  return undefined;
}
