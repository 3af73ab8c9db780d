/** A shadow's document as rows of a table, and an edited section as the change that makes it so. */
import type { JsonObject, JsonValue } from "../../base/mod.ts";
import type { ShadowDocument } from "../../cloud/api/contract.ts";

export interface ShadowRow {
  /** `light.colour.red`. */
  readonly path: string;
  /** As JSON; null where there is none. */
  readonly desired: string | null;
  readonly reported: string | null;
  /** Desired, and not reported so. */
  readonly differs: boolean;
  /** When either was last set, in seconds. */
  readonly changedAt: number;
}

interface Leaf {
  readonly text: string;
  readonly changedAt: number;
}

/** By path. */
export function rowsOf({ state, metadata }: ShadowDocument): readonly ShadowRow[] {
  const desired = leavesOf(state.desired, metadata.desired);
  const reported = leavesOf(state.reported, metadata.reported);
  const delta = leavesOf(state.delta, metadata.delta);
  const paths = [...new Set([...desired.keys(), ...reported.keys()])].sort(collator.compare);
  return paths.map((path) => ({
    path,
    desired: desired.get(path)?.text ?? null,
    reported: reported.get(path)?.text ?? null,
    differs: delta.has(path),
    changedAt: Math.max(desired.get(path)?.changedAt ?? 0, reported.get(path)?.changedAt ?? 0),
  }));
}

const collator = new Intl.Collator("en", { numeric: true });

/** What to send so that `before` becomes `after`: removed keys are null, what is the same is left out (RFC 7396). */
export function changeBetween(before: JsonObject, after: JsonObject): JsonObject {
  const change: [string, JsonValue][] = [];
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key)) change.push([key, null]);
  for (const [key, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, key) ? before[key] : undefined;
    if (isObject(value) && isObject(old)) {
      const inner = changeBetween(old, value);
      if (Object.keys(inner).length > 0) change.push([key, inner]);
    } else if (JSON.stringify(old) !== JSON.stringify(value)) change.push([key, value]);
  }
  return Object.fromEntries(change);
}

/** Says why where the text is no object of JSON. */
export function parseSection(text: string): { readonly section: JsonObject } | { readonly problem: string } {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (error) {
    return { problem: error instanceof Error ? error.message : "This is no JSON." };
  }
  return isObject(value) ? { section: value } : { problem: "A section is a JSON object: { … }." };
}

function leavesOf(state: JsonObject | undefined, metadata: JsonValue | undefined): ReadonlyMap<string, Leaf> {
  const leaves = new Map<string, Leaf>();
  const visit = (value: JsonValue, meta: JsonValue | undefined, path: string): void => {
    const entries = isObject(value) ? Object.entries(value) : [];
    if (entries.length === 0) leaves.set(path, { text: JSON.stringify(value), changedAt: newestOf(meta) });
    for (const [key, item] of entries) {
      visit(
        item,
        isObject(meta) && Object.hasOwn(meta, key) ? meta[key] : undefined,
        path === "" ? key : `${path}.${key}`,
      );
    }
  };
  for (const [key, item] of Object.entries(state ?? {}))
    visit(item, isObject(metadata) ? metadata[key] : undefined, key);
  return leaves;
}

/** An array has a time for each of its items. */
function newestOf(metadata: JsonValue | undefined): number {
  if (typeof metadata !== "object" || metadata === null) return 0;
  const timestamp = isObject(metadata) ? metadata["timestamp"] : undefined;
  if (typeof timestamp === "number") return timestamp;
  return Math.max(0, ...Object.values(metadata).map(newestOf));
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
