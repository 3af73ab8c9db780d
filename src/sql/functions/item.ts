import { member, toInt } from "../value.ts";
import type { SqlValue } from "../value.ts";

/** `get(collection, key)`: AWS IoT converts an index, but never a key. */
export function itemOf(collection: SqlValue, key: SqlValue): SqlValue {
  if (typeof collection === "string" || Array.isArray(collection)) {
    const index = toInt(key);
    return index === undefined || index < 0 ? undefined : (collection[index] as SqlValue);
  }
  return typeof key === "string" ? member(collection, key) : undefined;
}
