/**
 * Pieces of the registry's texts in a full-text table: field and piece make a token, and what has it is a list of
 * ids that take a byte or two each. A thing's id is new with each change, so that the lists grow at their ends alone.
 */
import { piecesOf } from "../../registry/mod.ts";
import type { FleetNames, FleetPiece } from "../../registry/mod.ts";

export const PIECES = `CREATE TABLE numbered (
     id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, thing TEXT NOT NULL, UNIQUE (tenant, thing)) STRICT;
   CREATE VIRTUAL TABLE pieces USING fts5(tokens, content='', contentless_delete=1, detail=none, tokenize=ascii);`;

export type Rows = (sql: string, values: readonly (string | number)[]) => readonly (readonly unknown[])[];

export class SearchPieces {
  readonly #rows: Rows;
  readonly #tenant: string;
  /** Tokens of things in the transaction that runs; null: they go. */
  #waiting = new Map<string, string | null>();

  constructor(rows: Rows, tenant: string) {
    this.#rows = rows;
    this.#tenant = tenant;
  }

  /** Words by the number of their field; null: the thing is gone. In the table with `write`. */
  put(thing: string, words: ReadonlyMap<number, ReadonlySet<string>> | null): void {
    this.#waiting.set(thing, words === null ? null : tokensOf(words));
  }

  /** In ascending numbers: the table writes what it has gathered whenever one is below the one before. */
  write(): void {
    const old: number[] = [];
    for (const thing of this.#waiting.keys()) {
      const sql = "DELETE FROM numbered WHERE tenant = ? AND thing = ? RETURNING id";
      for (const [id] of this.#rows(sql, [this.#tenant, thing])) old.push(Number(id));
    }
    for (const id of old.sort((a, b) => a - b)) this.#rows("DELETE FROM pieces WHERE rowid = ?", [id]);
    for (const [thing, tokens] of this.#waiting) {
      if (tokens === null) continue;
      const sql = "INSERT INTO numbered (tenant, thing) VALUES (?, ?) RETURNING id";
      const id = Number(this.#rows(sql, [this.#tenant, thing])[0]![0]);
      this.#rows("INSERT INTO pieces (rowid, tokens) VALUES (?, ?)", [id, tokens]);
    }
    this.#waiting = new Map();
  }

  /** The transaction was undone. */
  forget(): void {
    this.#waiting = new Map();
  }

  /** `match`: of `matchOf`. */
  count(match: string, limit: number): number {
    const sql = "SELECT count(*) FROM (SELECT 1 FROM pieces WHERE pieces MATCH ? LIMIT ?)";
    return Number(this.#rows(sql, [match, limit])[0]?.[0]);
  }

  /**
   * `CAST`, because a JavaScript number is bound as a REAL, and the table goes straight to an INTEGER only. As one text: a row
   * for each takes four times as long.
   */
  idsOf(match: string, after: number, limit: number): readonly number[] {
    const sql = `SELECT json_group_array(rowid) FROM
      (SELECT rowid FROM pieces WHERE pieces MATCH ? AND rowid > CAST(? AS INTEGER) ORDER BY rowid LIMIT ?)`;
    return JSON.parse(String(this.#rows(sql, [match, after, limit])[0]![0])) as number[];
  }

  namesOf(match: string, after: number, limit: number): FleetNames {
    const sql = `SELECT json_group_array(thing), max(id) FROM
      (SELECT thing, id FROM pieces JOIN numbered ON numbered.id = pieces.rowid
        WHERE pieces MATCH ? AND pieces.rowid > CAST(? AS INTEGER) ORDER BY pieces.rowid LIMIT ?)`;
    const [names, last] = this.#rows(sql, [match, after, limit])[0]!;
    return { names: JSON.parse(String(names)) as string[], last: Number(last ?? after) };
  }

  newestId(): number {
    return Number(this.#rows("SELECT max(id) FROM numbered", [])[0]?.[0] ?? 0);
  }

  /** Ascending names behind `after`, and their ids. */
  named(after: string, window: number): readonly (readonly [thing: string, id: number])[] {
    const sql = "SELECT thing, id FROM numbered WHERE tenant = ? AND thing > ? ORDER BY thing LIMIT ?";
    return this.#rows(sql, [this.#tenant, after, window]) as readonly (readonly [string, number])[];
  }

  /** Of the entries `w` that are such, behind one name and up to another; `values`: the entries', and these two. */
  namedOf(
    entries: string,
    are: string,
    values: readonly (string | number)[],
  ): readonly (readonly [thing: string, id: number])[] {
    // CROSS: in this order.
    const sql = `SELECT n.thing, n.id FROM ${entries} CROSS JOIN numbered n
      WHERE ${are} AND w.thing > ? AND w.thing <= ? AND n.tenant = ? AND n.thing = w.thing ORDER BY w.thing`;
    return this.#rows(sql, [...values, this.#tenant]) as readonly (readonly [string, number])[];
  }

  idsOfNames(names: readonly string[], places: string): readonly (readonly [thing: string, id: number])[] {
    const sql = `SELECT thing, id FROM numbered WHERE tenant = ? AND thing IN (${places})`;
    return this.#rows(sql, [this.#tenant, ...names]) as readonly (readonly [string, number])[];
  }
}

function tokensOf(words: ReadonlyMap<number, ReadonlySet<string>>): string {
  const tokens: string[] = [];
  for (const [field, some] of words) {
    for (const word of some) for (const piece of piecesOf(word)) tokens.push(tokenOf(field, piece));
  }
  return tokens.join(" ");
}

export function matchOf(pieces: readonly FleetPiece[], idOf: (field: string) => number): string {
  return pieces.map(({ field, text }) => tokenOf(idOf(field), text)).join(" ");
}

/** Letters, digits and what is not ASCII, which the table takes for one word; different for different pieces. */
function tokenOf(field: number, piece: string): string {
  if (/^[a-z0-9]*$/.test(piece)) return `${field}x${piece}`;
  let token = `${field}x`;
  for (let at = 0; at < piece.length; at++) {
    const code = piece.charCodeAt(at);
    if (code < 0x80 && !/[a-z0-9]/.test(piece[at]!)) token += String.fromCharCode(STAND_INS + code);
    else if (code < STAND_INS || code > ESCAPE) token += piece[at]!;
    else token += String.fromCharCode(ESCAPE) + code.toString(16);
  }
  return token;
}

/** Of Unicode's private characters: what stands for the rest of ASCII, and what comes before one that is meant itself. */
const STAND_INS = 0xe000;
const ESCAPE = 0xe0ff;
