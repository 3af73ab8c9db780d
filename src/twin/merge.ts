/** The arithmetic of shadows: merging a change, and what still differs. Nothing is changed in place. */
import type { JsonObject, JsonValue } from "../base/mod.ts";
import { isNode, own, put, same } from "./json.ts";
import type { Draft } from "./json.ts";

/** One half of a shadow. `metadata` has the shape of `state`, with `{"timestamp": seconds}` at each leaf. */
export interface Section {
  readonly state: JsonObject;
  readonly metadata: JsonObject;
}

const EMPTY: Section = { state: {}, metadata: {} };

/** Objects merge key by key, `null` deletes a key, arrays and plain values are replaced whole. */
export function merge(section: Section | null, change: JsonObject, seconds: number): Section {
  const before = section ?? EMPTY;
  const state: Draft = { ...before.state };
  const metadata: Draft = { ...before.metadata };
  for (const [key, value] of Object.entries(change)) {
    if (value === null) {
      delete state[key];
      delete metadata[key];
    } else if (isNode(value)) {
      const merged = merge(sectionAt(before, key), value, seconds);
      put(state, key, merged.state);
      put(metadata, key, merged.metadata);
    } else {
      put(state, key, value);
      put(metadata, key, stamps(value, seconds));
    }
  }
  return { state, metadata };
}

/** Metadata of a value that is all new; what is `null` is deleted and has none. */
export function stamps(value: JsonValue, seconds: number): JsonValue {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map((item) => stamps(item, seconds));
  if (!isNode(value)) return { timestamp: seconds };
  const metadata: Draft = {};
  for (const [key, item] of Object.entries(value)) {
    if (item !== null) put(metadata, key, stamps(item, seconds));
  }
  return metadata;
}

/** What is desired and not reported so, with its full path; `null` where there is nothing. What is only reported never counts. */
export function difference(desired: Section, reported: JsonObject): Section | null {
  const state: Draft = {};
  const metadata: Draft = {};
  let differs = false;
  for (const [key, wanted] of Object.entries(desired.state)) {
    const present = own(reported, key);
    const nested = sectionAt(desired, key);
    if (nested !== null && isNode(present)) {
      const inner = difference(nested, present);
      if (inner === null) continue;
      put(state, key, inner.state);
      put(metadata, key, inner.metadata);
    } else {
      if (same(wanted, present)) continue;
      put(state, key, wanted);
      put(metadata, key, own(desired.metadata, key) ?? {});
    }
    differs = true;
  }
  return differs ? { state, metadata } : null;
}

/** `null` where the key holds no object. */
function sectionAt(section: Section, key: string): Section | null {
  const state = own(section.state, key);
  if (!isNode(state)) return null;
  const metadata = own(section.metadata, key);
  return { state, metadata: isNode(metadata) ? metadata : {} };
}
