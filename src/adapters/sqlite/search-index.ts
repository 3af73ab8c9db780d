/**
 * The fleet's index in `search.db`: a view of the registry, presence and shadows that is rebuilt when it is missing, damaged,
 * of another version, or was not closed. Used by one thread of its own.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { LIMITS } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import { FleetDocument, asIndexed, indexedWords, isPieced, numberOf, shortened } from "../../registry/mod.ts";
import type {
  FleetIds,
  FleetLookup,
  FleetNames,
  FleetNumbersLookup,
  FleetPiecesLookup,
  FleetPartBody,
  FleetPartChange,
  FleetStretch,
  FleetWordLookup,
  SearchIndex,
} from "../../registry/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";
import { LAST_WORD, NAMES, SearchEntries, eachNames } from "./search-entries.ts";
import { PIECES, SearchPieces, matchOf } from "./search-pieces.ts";
import type { Rows } from "./search-pieces.ts";

const MIGRATIONS: readonly string[] = [
  `CREATE TABLE state (tenant TEXT PRIMARY KEY, complete INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE fields (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (tenant, name)) STRICT;
   CREATE TABLE parts (
     tenant TEXT NOT NULL, thing TEXT NOT NULL, part TEXT NOT NULL, body TEXT NOT NULL,
     PRIMARY KEY (tenant, thing, part)) STRICT, WITHOUT ROWID;
   -- A field is one tenant's.
   CREATE TABLE words (
     field INTEGER NOT NULL, word TEXT NOT NULL, thing TEXT NOT NULL, part TEXT NOT NULL,
     PRIMARY KEY (field, word, thing, part)) STRICT, WITHOUT ROWID;
   CREATE TABLE numbers (
     field INTEGER NOT NULL, number REAL NOT NULL, thing TEXT NOT NULL, part TEXT NOT NULL,
     PRIMARY KEY (field, number, thing, part)) STRICT, WITHOUT ROWID;`,
  `CREATE INDEX numbers_by_thing ON numbers (field, thing, number);`,
  // Empty, and so not complete: everything is compared with it, and it is made anew with the pieces.
  `DROP TABLE state; DROP TABLE parts; DROP TABLE words; DROP TABLE numbers;
   CREATE TABLE state (tenant TEXT PRIMARY KEY, complete INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE parts (
     tenant TEXT NOT NULL, thing TEXT NOT NULL, part TEXT NOT NULL, body TEXT NOT NULL,
     PRIMARY KEY (tenant, thing, part)) STRICT, WITHOUT ROWID;
   CREATE TABLE words (
     field INTEGER NOT NULL, word TEXT NOT NULL, thing TEXT NOT NULL, part TEXT NOT NULL,
     PRIMARY KEY (field, word, thing, part)) STRICT, WITHOUT ROWID;
   CREATE TABLE numbers (
     field INTEGER NOT NULL, number REAL NOT NULL, thing TEXT NOT NULL, part TEXT NOT NULL,
     PRIMARY KEY (field, number, thing, part)) STRICT, WITHOUT ROWID;
   CREATE INDEX numbers_by_thing ON numbers (field, thing, number);
   ${PIECES}`,
  // Likewise: pieces of one and two characters.
  `DELETE FROM state; DELETE FROM parts; DELETE FROM words; DELETE FROM numbers;
   DROP TABLE pieces; DROP TABLE numbered;
   ${PIECES}`,
];

/** A thing that is different now, and the fields in which it is; null: it is new. */
export interface Indexed {
  readonly thing: string;
  readonly fields: readonly string[] | null;
}

/** Each different word is one step down the index. */
const DIFFERENT_WORDS = `WITH RECURSIVE found (word) AS (
    SELECT min(word) FROM words WHERE field = ?1 AND word >= ?2
    UNION ALL
    SELECT (SELECT min(word) FROM words WHERE field = ?1 AND word > found.word) FROM found WHERE found.word <= ?3
    LIMIT ?4)
  SELECT word FROM found WHERE word <= ?3`;
export class SqliteSearchIndex implements SearchIndex {
  readonly #database: DatabaseSync;
  readonly #tenant: string;
  readonly #prepared = new Map<string, StatementSync>();
  /** At most `indexedFieldsMax`, and those of the transaction that runs. */
  readonly #fields = new Map<string, number>();
  readonly #pieces: SearchPieces;
  readonly #entries: SearchEntries;
  /** There were more fields than may have an index. */
  #overflown: boolean;

  /** Throws DATABASE_DAMAGED, DATABASE_UNUSABLE or DATABASE_NEWER: the file may be removed then. */
  constructor({ path, logger, tenant = "default" }: { path: string; logger?: Logger; tenant?: string }) {
    const told = logger === undefined ? {} : { logger };
    this.#database = openDatabase({ path, name: "search", migrations: MIGRATIONS, durability: "normal", ...told });
    this.#database.exec("PRAGMA cache_size = -32000");
    this.#tenant = tenant;
    const rows: Rows = (sql, values) => this.#rows(sql, values);
    this.#pieces = new SearchPieces(rows, tenant);
    this.#entries = new SearchEntries(rows, (field) => this.#idOf(field), this.#pieces);
    this.#loadFields();
    this.#overflown = this.#fields.size >= LIMITS.search.indexedFieldsMax;
  }

  close(): void {
    closeDatabase(this.#database);
  }

  /** It has all that there was when it was closed. */
  get complete(): boolean {
    return this.#rows("SELECT complete FROM state WHERE tenant = ?", [this.#tenant])[0]?.[0] === 1;
  }

  set complete(complete: boolean) {
    transaction(this.#database, () =>
      this.#rows("INSERT OR REPLACE INTO state VALUES (?, ?)", [this.#tenant, complete ? 1 : 0]),
    );
  }

  /** In one transaction. Returns what is different now. */
  put(changes: readonly FleetPartChange[]): readonly Indexed[] {
    try {
      return transaction(this.#database, () => {
        const indexed = changes.flatMap((change) => {
          const fields = change.part === "registry" && change.body === null ? this.#remove(change) : this.#put(change);
          return fields?.length === 0 ? [] : [{ thing: change.thing, fields }];
        });
        this.#pieces.write();
        return indexed;
      });
    } catch (error) {
      this.#pieces.forget();
      this.#loadFields(); // those that were new were undone
      throw error;
    }
  }

  /**
   * What things behind `after` and up to `upTo` (null: to the end) have beside these parts: to be put with body null.
   */
  surplus(after: string, upTo: string | null, changes: readonly FleetPartChange[]): readonly FleetPartChange[] {
    const wanted = new Set(changes.map(({ thing, part }) => `${thing} ${part}`));
    const range = upTo === null ? "thing > ?" : "thing > ? AND thing <= ?";
    const sql = `SELECT thing, part FROM parts WHERE tenant = ? AND ${range}`;
    return this.#rows(sql, [this.#tenant, after, ...(upTo === null ? [] : [upTo])])
      .filter(([thing, part]) => !wanted.has(`${String(thing)} ${String(part)}`))
      .map(([thing, part]) => ({ thing: String(thing), part: String(part) as FleetPartChange["part"], body: null }));
  }

  /** Names of the things behind `after`, ascending. */
  names(after: string, limit: number): readonly string[] {
    return this.#pieces.named(after, limit).map(([thing]) => thing);
  }

  // ── SearchIndex ──────────────────────────────────────────────────────────────────────────────

  fields(): readonly string[] {
    return [...this.#fields.keys()];
  }

  stateOf(field: string): "indexed" | "unindexed" | "missing" {
    if (this.#fields.has(field)) return "indexed";
    return this.#overflown ? "unindexed" : "missing";
  }

  words(field: string, from: string, to: string | null, limit: number): readonly string[] | null {
    const values = [this.#idOf(field), from, to ?? LAST_WORD, limit + 1];
    const words = this.#rows(DIFFERENT_WORDS, values);
    return words.length > limit ? null : words.map(([word]) => String(word));
  }

  count(lookup: FleetLookup, limit: number): number {
    if (lookup.by === "pieces") return this.#pieces.count(this.#matchOf(lookup), limit);
    const { from, values } = this.#from(lookup);
    return Number(this.#rows(`SELECT count(*) FROM (SELECT 1 ${from} LIMIT ?)`, [...values, limit])[0]?.[0]);
  }

  things(lookup: Exclude<FleetLookup, FleetPiecesLookup>): readonly string[] {
    const { from, values } = this.#from(lookup);
    return JSON.parse(String(this.#rows(`SELECT json_group_array(thing) ${from}`, values)[0]![0])) as string[];
  }

  ordered(
    words: readonly FleetWordLookup[],
    numbers: readonly FleetNumbersLookup[],
    after: string,
    window: number,
  ): FleetStretch {
    const [first, ...others] = [...words, ...numbers];
    if (first !== undefined) return this.#entries.ordered([first, ...others], after, window);
    const things = this.names(after, window);
    return { things, upTo: things.length < window ? null : things.at(-1)! };
  }

  either(words: readonly FleetWordLookup[], after: string, window: number): FleetStretch {
    return this.#entries.either(words, after, window);
  }

  having(
    things: readonly string[],
    words: readonly FleetWordLookup[],
    numbers: readonly FleetNumbersLookup[],
  ): readonly string[] {
    return this.#entries.having(things, [...words, ...numbers]);
  }

  idsOf(lookup: FleetPiecesLookup, after: number, limit: number): readonly number[] {
    return this.#pieces.idsOf(this.#matchOf(lookup), after, limit);
  }

  namesOf(lookup: FleetPiecesLookup, after: number, limit: number): FleetNames {
    return this.#pieces.namesOf(this.#matchOf(lookup), after, limit);
  }

  newestId(): number {
    return this.#pieces.newestId();
  }

  among(ids: FleetIds, base: FleetWordLookup | FleetNumbersLookup | null, after: string, window: number): FleetStretch {
    return this.#entries.among(ids, base, after, window);
  }

  identified(things: readonly string[], ids: FleetIds): readonly string[] {
    return this.#entries.identified(things, ids);
  }

  documents(things: readonly string[], parts: "all" | "registry"): readonly FleetDocument[] {
    const which = parts === "all" ? "" : "AND part = 'registry'";
    const sql = `SELECT thing, part, body FROM parts WHERE tenant = ? AND thing IN (${NAMES}) ${which} ORDER BY thing`;
    const known = new Map<string, Map<string, FleetPartBody>>();
    for (const [thing, part, body] of eachNames(things, (names) => this.#rows(sql, [this.#tenant, ...names]))) {
      let has = known.get(String(thing));
      if (has === undefined) known.set(String(thing), (has = new Map()));
      has.set(String(part), JSON.parse(String(body)) as FleetPartBody);
    }
    return [...known].filter(([, has]) => has.has("registry")).map(([thing, has]) => new FleetDocument(thing, has));
  }

  // ── changes ──────────────────────────────────────────────────────────────────────────────────

  #put(change: FleetPartChange): readonly string[] | null {
    const { thing, part, body } = change;
    const before = this.#body(thing, part);
    // What others tell about a thing that is gone, or is not known yet, says nothing.
    if (part !== "registry" && this.#body(thing, "registry") === null) return [];
    const text = body === null ? null : JSON.stringify(body);
    if (text === before) return [];
    const [old, now] = [
      before === null
        ? new Map<string, Set<string>>()
        : indexedWords({ ...change, body: JSON.parse(before) as FleetPartBody }),
      body === null ? new Map<string, Set<string>>() : indexedWords({ ...change, body }),
    ];
    const key = [this.#tenant, thing, part];
    if (text === null) this.#rows("DELETE FROM parts WHERE tenant = ? AND thing = ? AND part = ?", key);
    else this.#rows("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)", [...key, text]);
    const fields = this.#exchange(thing, part, old, now);
    if (part === "registry" && fields.some(isPieced)) this.#pieces.put(thing, this.#piecedWords(now));
    return part === "registry" && before === null ? null : fields;
  }

  #piecedWords(words: ReadonlyMap<string, ReadonlySet<string>>): ReadonlyMap<number, ReadonlySet<string>> {
    const pieced = new Map<number, ReadonlySet<string>>();
    for (const [field, some] of words) {
      const id = isPieced(field) ? this.#fields.get(field) : undefined;
      if (id !== undefined) pieced.set(id, some);
    }
    return pieced;
  }

  #remove({ thing }: FleetPartChange): readonly string[] {
    const rows = this.#rows("SELECT part, body FROM parts WHERE tenant = ? AND thing = ?", [this.#tenant, thing]);
    const fields = rows.flatMap(([name, body]) => {
      const part = String(name) as FleetPartChange["part"];
      const words = indexedWords({ thing, part, body: JSON.parse(String(body)) as FleetPartBody });
      return this.#exchange(thing, part, words, new Map());
    });
    this.#rows("DELETE FROM parts WHERE tenant = ? AND thing = ?", [this.#tenant, thing]);
    this.#pieces.put(thing, null);
    return fields;
  }

  /** Writes only what differs: a change of presence must not cost what the shadow's fields cost. */
  #exchange(
    thing: string,
    part: string,
    old: ReadonlyMap<string, ReadonlySet<string>>,
    now: ReadonlyMap<string, ReadonlySet<string>>,
  ): readonly string[] {
    const changed = new Set<string>();
    for (const [field, words] of old) {
      const gone = without(words, now.get(field));
      if (gone.length === 0 && now.has(field)) continue;
      changed.add(field);
      // Two words may have one entry, 75 and 75.0: what is still there is put back below.
      for (const word of gone) this.#entry("DELETE", field, word, thing, part);
    }
    for (const [field, words] of now) {
      const added = changed.has(field) ? [...words] : without(words, old.get(field));
      if (added.length > 0 || !old.has(field)) changed.add(field);
      for (const word of added) this.#entry("INSERT", field, word, thing, part);
    }
    return [...changed];
  }

  #entry(kind: "INSERT" | "DELETE", field: string, word: string, thing: string, part: string): void {
    const id = kind === "INSERT" ? this.#idOfNew(field) : this.#fields.get(field);
    if (id === undefined) return;
    const number = numberOf(word);
    const words = new Set([shortened(word), asIndexed(word)]);
    if (kind === "DELETE") {
      const where = "AND thing = ? AND part = ?";
      for (const one of words) {
        this.#rows(`DELETE FROM words WHERE field = ? AND word = ? ${where}`, [id, one, thing, part]);
      }
      if (number !== null) {
        this.#rows(`DELETE FROM numbers WHERE field = ? AND number = ? ${where}`, [id, number, thing, part]);
      }
      return;
    }
    for (const one of words) this.#rows("INSERT OR IGNORE INTO words VALUES (?, ?, ?, ?)", [id, one, thing, part]);
    if (number !== null) this.#rows("INSERT OR IGNORE INTO numbers VALUES (?, ?, ?, ?)", [id, number, thing, part]);
  }

  /** Undefined: there are too many fields. */
  #idOfNew(field: string): number | undefined {
    const known = this.#fields.get(field);
    if (known !== undefined) return known;
    if (this.#fields.size >= LIMITS.search.indexedFieldsMax) {
      this.#overflown = true;
      return undefined;
    }
    const sql = "INSERT INTO fields (tenant, name) VALUES (?, ?) RETURNING id";
    const id = Number(this.#rows(sql, [this.#tenant, field])[0]![0]);
    this.#fields.set(field, id);
    return id;
  }

  #loadFields(): void {
    this.#fields.clear();
    for (const [name, id] of this.#rows("SELECT name, id FROM fields WHERE tenant = ?", [this.#tenant])) {
      this.#fields.set(String(name), Number(id));
    }
  }

  #body(thing: string, part: string): string | null {
    const sql = "SELECT body FROM parts WHERE tenant = ? AND thing = ? AND part = ?";
    const row = this.#rows(sql, [this.#tenant, thing, part])[0];
    return row === undefined ? null : String(row[0]);
  }

  /** 0, which nothing has, where there is none. */
  #idOf(field: string): number {
    return this.#fields.get(field) ?? 0;
  }

  #matchOf({ pieces }: FleetPiecesLookup): string {
    return matchOf(pieces, (field) => this.#idOf(field));
  }

  #from(lookup: Exclude<FleetLookup, FleetPiecesLookup>): {
    readonly from: string;
    readonly values: readonly (string | number)[];
  } {
    const id = this.#idOf(lookup.field);
    switch (lookup.by) {
      case "word":
        return { from: "FROM words WHERE field = ? AND word = ?", values: [id, lookup.word] };
      case "words": {
        const { from, to } = lookup;
        if (to === null) return { from: "FROM words WHERE field = ? AND word >= ?", values: [id, from] };
        return { from: "FROM words WHERE field = ? AND word >= ? AND word <= ?", values: [id, from, to] };
      }
      case "numbers": {
        const { from, to } = lookup;
        return { from: "FROM numbers WHERE field = ? AND number >= ? AND number <= ?", values: [id, from, to] };
      }
    }
  }

  /** As many statements as this file has texts, and one per number of words that are asked for together. */
  #rows(sql: string, values: readonly (string | number)[]): readonly (readonly unknown[])[] {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      statement.setReturnArrays(true);
      this.#prepared.set(sql, statement);
    }
    return statement.all(...values) as unknown as readonly (readonly unknown[])[];
  }
}

function without(words: ReadonlySet<string>, others: ReadonlySet<string> | undefined): readonly string[] {
  return [...words].filter((word) => others?.has(word) !== true);
}
