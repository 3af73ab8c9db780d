/** Attributes of things and groups: searchable, and a thing's visible to policies. */
import { LIMITS } from "../base/mod.ts";
import { checkAttributeName, checkText, invalid } from "./names.ts";
import type { Attributes } from "./records.ts";
import { limit } from "./refusals.ts";
import type { ThingFilter } from "./store.ts";

export interface AttributeUpdate {
  readonly attributes?: Attributes | undefined;
  /** True: other attributes stay. False (AWS's default): they go. An empty value removes its attribute either way. */
  readonly merge?: boolean | undefined;
}

/** `given` for something that is new. */
export function newAttributes(owner: string, given: Attributes | undefined): Attributes {
  return checked(owner, withoutEmpty(given ?? {}));
}

export function changedAttributes(
  owner: string,
  before: Attributes,
  { attributes, merge }: AttributeUpdate,
): Attributes {
  if (attributes === undefined) return before;
  return checked(owner, withoutEmpty(merge === true ? { ...before, ...attributes } : attributes));
}

/**
 * AWS IoT's rule for names of attributes. Values may hold any printable text here (AWS allows only a few characters):
 * policies refuse by themselves to put a dangerous one into a pattern.
 */
function checked(owner: string, attributes: Attributes): Attributes {
  const { attributesPerThingMax, attributeValueLengthMax } = LIMITS.registry;
  const entries = Object.entries(attributes);
  if (entries.length > attributesPerThingMax) limit(`attributes of one ${owner}`, attributesPerThingMax);
  for (const [name, value] of entries) {
    checkAttributeName(name);
    checkText(`the value of attribute '${name}'`, value, attributeValueLengthMax);
  }
  return attributes;
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
function withoutEmpty(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== ""));
}

export function sameAttributes(a: Attributes, b: Attributes): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}
