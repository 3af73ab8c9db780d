/** Which certificate follows which, in `renewals.db`. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { EpochMs, Logger } from "../../base/mod.ts";
import type { Succession, SuccessionStore } from "../../identity/mod.ts";
import { closeDatabase, openDatabase, transaction } from "./open.ts";

const MIGRATIONS: readonly string[] = [
  `CREATE TABLE succession (
     successor TEXT PRIMARY KEY, predecessor TEXT NOT NULL, issued_at INTEGER NOT NULL, confirmed_at INTEGER) STRICT;
   CREATE TABLE allowance (certificate TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;`,
];

export class SqliteSuccessionStore implements SuccessionStore {
  readonly #database: DatabaseSync;
  readonly #save: StatementSync;
  readonly #remove: StatementSync;

  constructor({ path, logger }: { readonly path: string; readonly logger?: Logger }) {
    const options = { path, name: "renewals", migrations: MIGRATIONS, durability: "full" } as const;
    this.#database = openDatabase(logger === undefined ? options : { ...options, logger });
    this.#save = this.#database.prepare("INSERT OR REPLACE INTO succession VALUES (?, ?, ?, ?)");
    this.#remove = this.#database.prepare("DELETE FROM succession WHERE successor = ?");
  }

  load(): readonly Succession[] {
    const rows = this.#database.prepare("SELECT * FROM succession").all();
    return rows.map((row) => ({
      predecessor: String(row["predecessor"]),
      successor: String(row["successor"]),
      issuedAt: Number(row["issued_at"]),
      confirmedAt: row["confirmed_at"] === null ? null : Number(row["confirmed_at"]),
    }));
  }

  save({ successor, predecessor, issuedAt, confirmedAt }: Succession): void {
    transaction(this.#database, () => this.#save.run(successor, predecessor, issuedAt, confirmedAt));
  }

  remove(successor: string): void {
    transaction(this.#database, () => this.#remove.run(successor));
  }

  allowance(certificateId: string): EpochMs | null {
    const row = this.#database.prepare("SELECT until FROM allowance WHERE certificate = ?").get(certificateId);
    return row === undefined ? null : Number(row["until"]);
  }

  allow(certificateId: string, until: EpochMs): void {
    const insert = this.#database.prepare("INSERT OR REPLACE INTO allowance VALUES (?, ?)");
    transaction(this.#database, () => insert.run(certificateId, until));
  }

  removeAllowances(before: EpochMs): void {
    const remove = this.#database.prepare("DELETE FROM allowance WHERE until < ?");
    transaction(this.#database, () => remove.run(before));
  }

  close(): void {
    closeDatabase(this.#database);
  }
}
