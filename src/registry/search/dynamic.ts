/** Dynamic groups: which of them a change may concern, and which must not ask for one another. */
import { TidewireError } from "../../base/mod.ts";
import type { FleetDocument } from "./document.ts";
import { holds } from "./holds.ts";
import { parseQuery } from "./parse.ts";
import { termsOf } from "./tree.ts";
import type { Query } from "./tree.ts";
import { matches } from "./values.ts";

export interface DynamicQuery {
  readonly name: string;
  readonly queryString: string;
}

/** Things that a group gets and loses. */
export interface Move {
  readonly group: string;
  readonly add: string[];
  readonly remove: string[];
}

interface Compiled {
  readonly name: string;
  readonly query: Query;
  /** Null: it asks for something in any field. */
  readonly fields: ReadonlySet<string> | null;
}

/** As many as there may be dynamic groups. */
export class DynamicGroups {
  readonly #byField = new Map<string, Compiled[]>();
  readonly #ofAnyField: Compiled[] = [];
  readonly #all: readonly Compiled[];

  constructor(groups: readonly DynamicQuery[]) {
    this.#all = groups.map(({ name, queryString }) => {
      const query = parseQuery(queryString);
      const fields = [...termsOf(query)].map((term) => term.field);
      const anyField = fields.length === 0 || fields.includes(null);
      return { name, query, fields: anyField ? null : new Set(fields.filter((field) => field !== null)) };
    });
    for (const group of this.#all) {
      if (group.fields === null) this.#ofAnyField.push(group);
      for (const field of group.fields ?? []) {
        const known = this.#byField.get(field);
        if (known === undefined) this.#byField.set(field, [group]);
        else known.push(group);
      }
    }
  }

  /** `fields` null: whatever it is, look at all of them. */
  collect(document: FleetDocument, fields: readonly string[] | null, moves: Map<string, Move>): void {
    for (const { name, query } of fields === null ? this.#all : this.#concerned(fields)) {
      const member = document.registry.thingGroupNames.includes(name);
      const belongs = holds(query, document);
      if (member === belongs) continue;
      let move = moves.get(name);
      if (move === undefined) moves.set(name, (move = { group: name, add: [], remove: [] }));
      (belongs ? move.add : move.remove).push(document.thingName);
    }
  }

  #concerned(fields: readonly string[]): ReadonlySet<Compiled> {
    const concerned = new Set(this.#ofAnyField);
    for (const field of fields) for (const group of this.#byField.get(field) ?? []) concerned.add(group);
    return concerned;
  }
}

/** Throws SEARCH_QUERY_INVALID, and GROUP_QUERY_CYCLE where its members would decide about themselves. */
export function checkGroupQuery(group: DynamicQuery, others: readonly DynamicQuery[]): void {
  parseQuery(group.queryString);
  const groups = [group, ...others.filter(({ name }) => name !== group.name)];
  const names = groups.map(({ name }) => name);
  const asksFor = new Map(groups.map((one) => [one.name, askedFor(parseQuery(one.queryString), names)]));
  const path = pathTo(group.name, group.name, asksFor, new Set());
  if (path === null) return;
  throw new TidewireError("GROUP_QUERY_CYCLE", { name: group.name, path: [group.name, ...path].join(" asks for ") });
}

/** Names of groups that a query may ask for. */
function askedFor(query: Query, names: readonly string[]): readonly string[] {
  const terms = [...termsOf(query)].filter(({ field }) => field === null || field === "thingGroupNames");
  return names.filter((name) => terms.some(({ match }) => matches(match, name)));
}

/** As deep as there are dynamic groups. */
function pathTo(
  goal: string,
  from: string,
  asksFor: ReadonlyMap<string, readonly string[]>,
  seen: Set<string>,
): readonly string[] | null {
  for (const next of asksFor.get(from) ?? []) {
    if (next === goal) return [next];
    if (seen.has(next)) continue;
    seen.add(next);
    const rest = pathTo(goal, next, asksFor, seen);
    if (rest !== null) return [next, ...rest];
  }
  return null;
}
