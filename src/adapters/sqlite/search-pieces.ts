/**
 * Pieces of the registry's texts in a full-text table: field and three characters make a token, and what has it is a list of
 * numbers that take a byte or two each. A thing's number is new with each change, so that the lists grow at their ends alone.
 */
import { piecesOf } from "../../registry/mod.ts";

export const PIECES = `CREATE TABLE numbered (
     id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, thing TEXT NOT NULL, UNIQUE (tenant, thing)) STRICT;
   CREATE VIRTUAL TABLE pieces USING fts5(tokens, content='', contentless_delete=1, detail=none, tokenize=ascii);`;

type Rows = (sql: string, values: readonly (string | number)[]) => readonly (readonly unknown[])[];

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

  from(field: number, pieces: readonly string[]): { readonly from: string; readonly values: readonly string[] } {
    return {
      from: "FROM pieces JOIN numbered ON numbered.id = pieces.rowid WHERE pieces MATCH ?",
      values: [pieces.map((piece) => tokenOf(field, piece)).join(" ")],
    };
  }
}

function tokensOf(words: ReadonlyMap<number, ReadonlySet<string>>): string {
  const tokens: string[] = [];
  for (const [field, some] of words) {
    for (const word of some) for (const piece of piecesOf(word)) tokens.push(tokenOf(field, piece));
  }
  return tokens.join(" ");
}

/** Letters and digits only, which is what the table takes for a word. */
function tokenOf(field: number, piece: string): string {
  return `${field}x${Array.from(piece, (character) => character.codePointAt(0)!.toString(16)).join("x")}`;
}
