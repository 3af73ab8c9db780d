/** Which series a query means, and which of them are taken as one. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { FieldType } from "./points.ts";
import type { SeriesQuery } from "./query.ts";
import type { SeriesBook, SeriesEntry } from "./series-book.ts";
import type { SeriesGroup } from "./series-reader.ts";

export interface SelectedGroup extends SeriesGroup {
  /** Null where it is of all things together. */
  readonly thing: string | null;
  readonly measurement: string;
  readonly field: string;
  readonly stored: FieldType;
}

/** By name, each once. */
export function selectThings(book: SeriesBook, query: SeriesQuery): readonly string[] {
  if (query.things === undefined) return [query.thing];
  const found = new Set<string>();
  for (const name of query.things) {
    if (!/[*?]/.test(name)) found.add(name);
    else for (const thing of matching(book.things(), name)) found.add(thing);
  }
  return [...found].sort();
}

/** By thing, measurement, field and type. Throws QUERY_TOO_LARGE. */
export function selectGroups(
  book: SeriesBook,
  query: SeriesQuery,
  fields: readonly string[] | null,
): readonly SelectedGroup[] {
  const entries: SeriesEntry[] = [];
  for (const thing of selectThings(book, query)) {
    entries.push(...book.find(thing, query.measurement, fields));
    const { seriesPerQueryMax } = LIMITS.telemetry;
    if (entries.length <= seriesPerQueryMax) continue;
    const reason = `it means more than ${seriesPerQueryMax} series; name a measurement or fields`;
    throw new TidewireError("QUERY_TOO_LARGE", { reason });
  }
  if (query.together === true) return together(entries);
  return entries.map(({ id, thing, measurement, field, type }) => ({
    ids: [id],
    text: type === "string",
    thing,
    measurement,
    field,
    stored: type,
  }));
}

function together(entries: readonly SeriesEntry[]): readonly SelectedGroup[] {
  const groups = new Map<string, SelectedGroup & { readonly ids: number[] }>();
  for (const { id, measurement, field, type } of entries) {
    const key = JSON.stringify([measurement, field, type]);
    const group = groups.get(key);
    if (group !== undefined) group.ids.push(id);
    else groups.set(key, { ids: [id], text: type === "string", thing: null, measurement, field, stored: type });
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

/** `*` is any text, `?` any one character. Linear: of several ways only the shortest needs to be tried. */
function matching(things: readonly string[], pattern: string): readonly string[] {
  return things.filter((thing) => matches(thing, pattern));
}

export function matches(text: string, pattern: string): boolean {
  let at = 0;
  let star = -1;
  let from = 0;
  let p = 0;
  while (at < text.length) {
    if (pattern[p] === "*") {
      star = p++;
      from = at;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[at])) {
      p++;
      at++;
    } else if (star >= 0) {
      p = star + 1;
      at = ++from;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
