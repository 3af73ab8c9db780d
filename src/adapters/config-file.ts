/** Reads a YAML configuration against a schema; every fault names the file, the key and what to do. */
import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { z } from "zod";
import { TidewireError, closestWord, reasonOf } from "../base/mod.ts";

/** Throws CONFIG_FILE_UNREADABLE, CONFIG_KEY_UNKNOWN or CONFIG_VALUE_INVALID. */
export function readConfigFile<T extends z.ZodObject>(file: string, schema: T, command: string): z.infer<T> {
  const parsed = schema.safeParse(readYaml(file));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === "unrecognized_keys") throw unknownKey(file, issue, schema);
  const key = issue.path.join(".") || "the whole file";
  throw new TidewireError("CONFIG_VALUE_INVALID", { file, key, reason: issue.message, command });
}

function readYaml(file: string): unknown {
  try {
    // An empty file is an empty configuration.
    const document = parseDocument(readFileSync(file, "utf8"));
    // A tag that nobody knows is a mistyped key or value.
    for (const fault of [...document.errors, ...document.warnings]) throw fault;
    return document.toJS() ?? {};
  } catch (error) {
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file, reason: firstLine(reasonOf(error)) }, { cause: error });
  }
}

function firstLine(text: string): string {
  return text.split("\n")[0]!.replace(/[.:]$/, "");
}

function unknownKey(file: string, issue: z.core.$ZodIssueUnrecognizedKeys, schema: z.ZodObject): TidewireError {
  const key = issue.keys[0]!;
  const known = knownKeys(schema, issue.path);
  const nearest = closestWord(key, known);
  const suggestion = nearest === null ? `Known keys here: ${known.join(", ")}.` : `Did you mean '${nearest}'?`;
  return new TidewireError("CONFIG_KEY_UNKNOWN", { file, key: [...issue.path, key].join("."), suggestion });
}

/** The keys that the schema knows where an unknown one was found. */
function knownKeys(schema: z.ZodObject, path: readonly PropertyKey[]): readonly string[] {
  let at: unknown = schema;
  for (const step of path) at = unwrap(typeof step === "number" ? elementOf(at) : shapeOf(at)[String(step)]);
  return Object.keys(shapeOf(at));
}

function shapeOf(schema: unknown): Record<string, unknown> {
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? inner.shape : {};
}

function elementOf(schema: unknown): unknown {
  const inner = unwrap(schema);
  return inner instanceof z.ZodArray ? inner.element : undefined;
}

function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault) {
    return unwrap(schema.def.innerType);
  }
  return schema;
}
