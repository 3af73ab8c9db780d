/** Documents as values: whether two are the same, whatever the order of their keys. */
import { isJsonObject } from "../../base/mod.ts";
import type { JsonObject, JsonValue } from "../../base/mod.ts";

/** The same text for the same value. */
export function canonicalText(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => canonicalText(item)).join(",")}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalText(value[key]!)}`);
  return `{${members.join(",")}}`;
}

/** `value` with its keys in the order in which `like` has them, so that a comparison line by line shows only what differs. */
export function inOrderOf(value: JsonValue, like: JsonValue | undefined): JsonValue {
  if (Array.isArray(value)) {
    const others: readonly JsonValue[] = Array.isArray(like) ? like : [];
    return value.map((item: JsonValue, i) => inOrderOf(item, others[i]));
  }
  if (!isJsonObject(value)) return value;
  const other: JsonObject = like !== undefined && isJsonObject(like) ? like : {};
  const shared = Object.keys(other).filter((key) => Object.hasOwn(value, key));
  const own = Object.keys(value).filter((key) => !Object.hasOwn(other, key));
  return Object.fromEntries([...shared, ...own].map((key) => [key, inOrderOf(value[key]!, other[key])]));
}
