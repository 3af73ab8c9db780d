/** Whether a query finds one thing: what dynamic groups ask, and what decides about everything that an index offers. */
import type { FleetDocument } from "./document.ts";
import type { Match, Query } from "./tree.ts";
import { matches } from "./values.ts";
import type { Scalar } from "./values.ts";

/** As deep as queries nest. */
export function holds(query: Query, document: FleetDocument): boolean {
  switch (query.kind) {
    case "all":
      return true;
    case "and":
      return query.items.every((item) => holds(item, document));
    case "or":
      return query.items.some((item) => holds(item, document));
    case "not":
      return !holds(query.item, document);
    case "term":
      if (query.field !== null) return anyOf(query.match, document.valuesOf(query.field));
      for (const values of document.fields.values()) if (anyOf(query.match, values)) return true;
      return false;
  }
}

function anyOf(match: Match, values: readonly Scalar[] | undefined): boolean {
  return values !== undefined && values.some((value) => matches(match, value));
}
