/** A table in a file. It is held in memory and read again when the file changes; a file that is wrong changes nothing. */
import { readFile, stat } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { reasonOf } from "../../base/mod.ts";
import type { JsonObject, JsonValue, Logger } from "../../base/mod.ts";
import { csvRows, jsonRows } from "./rows.ts";
import type { Table } from "./table.ts";

export interface FileTableOptions {
  readonly name: string;
  readonly file: string;
  readonly key: string;
  readonly sort: string | null;
  readonly bytesMax: number;
  readonly rowsMax: number;
  readonly logger: Logger;
  /** Told of each time that the file could not be taken. */
  readonly failed: () => void;
}

/** Rows that are read in one turn of the event loop. */
const ROWS_PER_TURN = 2_000;

export class FileTable implements Table {
  readonly #o: FileTableOptions;
  #rows: ReadonlyMap<string, JsonObject> | null = null;
  /** What the file was when it was last read: its time, size and number. */
  #seen = "";
  #fault = "it is not read yet";
  #looking: Promise<void> | null = null;

  constructor(options: FileTableOptions) {
    this.#o = options;
  }

  get key(): string {
    return this.#o.key;
  }
  get sort(): string | null {
    return this.#o.sort;
  }
  get size(): number {
    return this.#rows?.size ?? 0;
  }

  /** Reads the file where it has changed. Never rejects; to be called now and then. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = null));
    return this.#looking;
  }

  async row(key: string, sort: string | null): Promise<JsonObject | undefined> {
    if (this.#rows === null) await this.look();
    if (this.#rows === null) throw new Error(`the table '${this.#o.name}' cannot be read: ${this.#fault}`);
    return this.#rows.get(sort === null ? key : joined(key, sort));
  }

  close(): Promise<void> {
    this.#rows = null;
    return Promise.resolve();
  }

  async #look(): Promise<void> {
    const { name, file, bytesMax, logger } = this.#o;
    let seen = "none";
    try {
      const { mtimeMs, size, ino } = await stat(file);
      seen = `${mtimeMs} ${size} ${ino}`;
      if (seen === this.#seen) return;
      if (size > bytesMax) throw new Error(`it has ${size} bytes, and ${bytesMax} are allowed`);
      this.#rows = await this.#read(await readFile(file, "utf8"));
      logger.info("A table was read", { table: name, rows: this.#rows.size });
    } catch (error) {
      if (seen === this.#seen) return; // told already
      this.#fault = reasonOf(error);
      this.#o.failed();
      const fields = { table: name, file, reason: this.#fault, keepsRows: this.#rows?.size ?? 0 };
      logger.error("A table cannot be read; it stays as it was", fields);
    }
    this.#seen = seen;
  }

  async #read(text: string): Promise<ReadonlyMap<string, JsonObject>> {
    const { key, sort, rowsMax } = this.#o;
    const rows = new Map<string, JsonObject>();
    let count = 0;
    for (const row of /^\s*[[{]/.test(text) ? jsonRows(text, key) : csvRows(text)) {
      if (++count > rowsMax) throw new Error(`it has more than ${rowsMax} rows`);
      const at = sort === null ? keyAt(row, key, count) : joined(keyAt(row, key, count), keyAt(row, sort, count));
      if (rows.has(at)) throw new Error(`row ${count} has the key '${at.replace("\u0000", "', '")}' of another row`);
      rows.set(at, row);
      if (count % ROWS_PER_TURN === 0) await setImmediate();
    }
    return rows;
  }
}

function keyAt(row: JsonObject, column: string, number: number): string {
  const value = Object.hasOwn(row, column) ? row[column]! : null;
  if (value === null) throw new Error(`row ${number} has nothing in its key column '${column}'`);
  return keyText(value);
}

/** As keys are compared. */
export function keyText(value: JsonValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function joined(key: string, sort: string): string {
  return `${key}\u0000${sort}`;
}
