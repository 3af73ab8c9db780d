/** Attributes of things: searchable, and visible to policies. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import { invalid, shown } from "./names.ts";
import type { ThingFilter } from "./store.ts";

/**
 * AWS IoT's rule for names of attributes. Values may hold any printable text here (AWS allows only a few characters):
 * policies refuse by themselves to put a dangerous one into a pattern.
 */
export function checkAttributes(attributes: Readonly<Record<string, string>>): void {
  const { attributesPerThingMax, attributeValueLengthMax } = LIMITS.registry;
  const entries = Object.entries(attributes);
  if (entries.length > attributesPerThingMax) {
    throw new TidewireError("LIMIT_REACHED", { what: "attributes of one thing", limit: attributesPerThingMax });
  }
  for (const [name, value] of entries) {
    if (!/^[a-zA-Z0-9_.,@/:#-]{1,128}$/.test(name) || name === "__proto__") {
      throw invalid(`'${shown(name)}' is no attribute name: 1 to 128 letters, digits and _.,@/:#-`);
    }
    if (typeof value !== "string" || value.length > attributeValueLengthMax || /\p{Cc}|\p{Cs}/u.test(value)) {
      throw invalid(`the value of attribute '${name}' must be up to ${attributeValueLengthMax} printable characters`);
    }
  }
}

/** A search longer than what can be found is no search. */
export function checkFilter(filter: ThingFilter): void {
  const { attributeValueLengthMax } = LIMITS.registry;
  for (const key of ["search", "thingTypeName", "attributeName", "attributeValue"] as const) {
    if ((filter[key]?.length ?? 0) > attributeValueLengthMax) {
      throw invalid(`${key} is longer than ${attributeValueLengthMax} characters`);
    }
  }
}

/** On AWS an empty value removes the attribute. */
export function withoutEmpty(attributes: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== ""));
}

export function sameAttributes(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}
