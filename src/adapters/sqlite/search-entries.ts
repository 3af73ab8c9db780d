/** Words and numbers in the fleet's index, read in the order of things' names. */
import type { FleetIds, FleetNumbersLookup, FleetStretch, FleetWordLookup } from "../../registry/mod.ts";
import type { Rows, SearchPieces } from "./search-pieces.ts";

export type EntryLookup = FleetWordLookup | FleetNumbersLookup;

type Values = readonly (string | number)[];

/** Behind every text: it is compared as bytes, and no character has this one. */
export const LAST_WORD = "\u{10ffff}\u{10ffff}";

/** Names of one word, while those of others are brought into the same order. */
const MERGED_LEAST = 8;

/** Names in one statement; one size is one statement. */
const NAMES_AT_ONCE = 64;
export const NAMES = Array.from({ length: NAMES_AT_ONCE }, () => "?").join(", ");

/** Looking one name up takes as long as reading so many entries in a row. */
const ENTRIES_PER_NAME = 6;

const WORDS = "words w";
const NUMBERS = "numbers w INDEXED BY numbers_by_thing";
const HAS_WORD = "EXISTS (SELECT 1 FROM words o WHERE o.field = ? AND o.word = ? AND o.thing = w.thing)";
const HAS_NUMBER =
  "EXISTS (SELECT 1 FROM numbers o WHERE o.field = ? AND o.number BETWEEN ? AND ? AND o.thing = w.thing)";

/** Entries `w` of one lookup: the table, what they are known by, and the same of all that is passed by on the way. */
interface Entries {
  readonly table: string;
  readonly are: string;
  readonly values: Values;
  readonly passed: { readonly are: string; readonly values: Values };
}

export class SearchEntries {
  readonly #rows: Rows;
  /** Of a field's name. */
  readonly #idOf: (field: string) => number;
  readonly #pieces: SearchPieces;

  constructor(rows: Rows, idOf: (field: string) => number, pieces: SearchPieces) {
    this.#rows = rows;
    this.#idOf = idOf;
    this.#pieces = pieces;
  }

  /** Names that all of these find, out of the next `window` entries that the first one passes. */
  ordered([first, ...others]: readonly [EntryLookup, ...EntryLookup[]], after: string, window: number): FleetStretch {
    const base = this.#entries(first);
    const upTo = this.#reach(base, after, window);
    const within = [after, upTo ?? LAST_WORD];
    const tests = others.map((lookup) => this.#entries(lookup));
    const isDense = tests.every((entries) => this.#isShort(entries, within, ENTRIES_PER_NAME * window));
    if (isDense) {
      const all = [base, ...tests];
      const sql = all.map(({ table, are }) => `SELECT thing FROM ${table} WHERE ${are} AND thing > ? AND thing <= ?`);
      const values = all.flatMap((entries) => entries.values.concat(within));
      return { things: [...new Set(this.#things(`${sql.join(" INTERSECT ")} ORDER BY thing`, values))], upTo };
    }
    const has = others.map(({ by }) => `AND ${by === "word" ? HAS_WORD : HAS_NUMBER}`).join(" ");
    const sql = `SELECT thing FROM ${base.table} WHERE ${base.are} AND thing > ? AND thing <= ? ${has} ORDER BY thing`;
    const things = this.#things(sql, [...base.values, ...within, ...tests.flatMap(({ values }) => values)]);
    return { things: [...new Set(things)], upTo };
  }

  either(words: readonly FleetWordLookup[], after: string, window: number): FleetStretch {
    const most = Math.max(MERGED_LEAST, Math.ceil((2 * window) / words.length));
    const names = new Set<string>();
    let upTo: string | null = null;
    for (const word of words) {
      const { table, are, values } = this.#entries(word);
      const sql = `SELECT thing FROM ${table} WHERE ${are} AND thing > ? ORDER BY thing LIMIT ?`;
      const found = this.#things(sql, [...values, after, most]);
      for (const thing of found) names.add(thing);
      const last = found.length < most ? null : found.at(-1)!;
      if (last !== null && (upTo === null || last < upTo)) upTo = last;
    }
    const end = upTo;
    return { things: [...names].filter((name) => end === null || name <= end).sort(), upTo };
  }

  having(things: readonly string[], lookups: readonly EntryLookup[]): readonly string[] {
    let left = things;
    for (const { table, are, values } of lookups.map((lookup) => this.#entries(lookup))) {
      const sql = `SELECT thing FROM ${table} WHERE ${are} AND thing IN (${NAMES})`;
      const has = new Set(eachNames(left, (names) => this.#things(sql, [...values, ...names])));
      left = left.filter((thing) => has.has(thing));
    }
    return left;
  }

  among({ ids, newest }: FleetIds, base: EntryLookup | null, after: string, window: number): FleetStretch {
    if (base === null) {
      const rows = this.#pieces.named(after, window);
      const things = rows.filter(([, id]) => id > newest || isIn(ids, id)).map(([thing]) => thing);
      return { things, upTo: rows.length < window ? null : rows.at(-1)![0] };
    }
    const entries = this.#entries(base);
    const upTo = this.#reach(entries, after, window);
    const { table, are, values } = entries;
    const rows = this.#pieces.namedOf(table, are, [...values, after, upTo ?? LAST_WORD]);
    const things = rows.filter(([, id]) => id > newest || isIn(ids, id)).map(([thing]) => thing);
    return { things: [...new Set(things)], upTo };
  }

  identified(things: readonly string[], { ids, newest }: FleetIds): readonly string[] {
    const has = new Set<string>();
    for (const [thing, id] of eachNames(things, (names) => this.#pieces.idsOfNames(names, NAMES))) {
      if (id > newest || isIn(ids, id)) has.add(thing);
    }
    return things.filter((thing) => has.has(thing));
  }

  #entries(lookup: EntryLookup): Entries {
    const id = this.#idOf(lookup.field);
    if (lookup.by === "word") {
      const [are, values] = ["w.field = ? AND w.word = ?", [id, lookup.word]] as const;
      return { table: WORDS, are, values, passed: { are, values } };
    }
    const are = "w.field = ? AND w.number BETWEEN ? AND ?";
    const passed = { are: "w.field = ?", values: [id] };
    return { table: NUMBERS, are, values: [id, lookup.from, lookup.to], passed };
  }

  /** The name of the last of the next `window` entries that are passed; null: the end. */
  #reach({ table, passed }: Entries, after: string, window: number): string | null {
    const sql = `SELECT thing FROM ${table} WHERE ${passed.are} AND thing > ? ORDER BY thing LIMIT 1 OFFSET ?`;
    return this.#things(sql, [...passed.values, after, window - 1])[0] ?? null;
  }

  #isShort({ table, passed }: Entries, within: Values, most: number): boolean {
    const sql = `SELECT thing FROM ${table} WHERE ${passed.are} AND thing > ? AND thing <= ? LIMIT 1 OFFSET ?`;
    return this.#things(sql, [...passed.values, ...within, most]).length === 0;
  }

  #things(sql: string, values: Values): readonly string[] {
    return this.#rows(sql, values).map(([thing]) => String(thing));
  }
}

export function eachNames<T>(things: readonly string[], ask: (names: readonly string[]) => readonly T[]): readonly T[] {
  const found: T[] = [];
  for (let at = 0; at < things.length; at += NAMES_AT_ONCE) {
    const names = things.slice(at, at + NAMES_AT_ONCE);
    while (names.length < NAMES_AT_ONCE) names.push(""); // no thing is called so
    for (const row of ask(names)) found.push(row);
  }
  return found;
}

function isIn(ids: readonly number[], id: number): boolean {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ids[middle]! < id) low = middle + 1;
    else high = middle;
  }
  return ids[low] === id;
}
