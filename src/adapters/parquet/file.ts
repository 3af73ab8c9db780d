/** A Parquet file of numbers that is read without a database: where a statement takes longer to plan than its rows to decode. */
import { closeSync, openSync, readSync } from "node:fs";
import { readRows } from "./column.ts";
import { footerLength, rowGroupsOf } from "./footer.ts";
import type { Chunk, RowGroup } from "./footer.ts";

const TAIL_BYTES = 8;

/** The bytes of some columns of a row group; they stay until the next one is read with the same scratch. */
export interface OpenRowGroup {
  /** Rows `from` to `to` of a column that was asked for, in `out` where that is given. */
  column(name: string, from: number, to: number, out?: Float64Array): Float64Array;
}

/** Its footer; the file itself is opened for each reading. Synchronously: a thread's turn takes longer than these bytes. */
export class ParquetFile {
  readonly groups: readonly RowGroup[];
  readonly #path: string;

  constructor(path: string, bytes: number) {
    this.#path = path;
    const file = openSync(path, "r");
    try {
      const length = footerLength(read(file, bytes - TAIL_BYTES, Buffer.alloc(TAIL_BYTES)));
      if (length > bytes) throw new Error("its footer is longer than itself");
      this.groups = rowGroupsOf(read(file, bytes - TAIL_BYTES - length, Buffer.alloc(length)));
    } finally {
      closeSync(file);
    }
  }

  /** Those of its row groups, one after the other. Throws where one does not have a column. */
  *read(
    groups: readonly RowGroup[],
    columns: readonly string[],
    scratch: Scratch,
  ): Generator<{ readonly group: RowGroup; readonly opened: OpenRowGroup }> {
    const file = openSync(this.#path, "r");
    try {
      for (const group of groups) yield { group, opened: openGroup(file, group, columns, scratch) };
    } finally {
      closeSync(file);
    }
  }
}

function openGroup(file: number, group: RowGroup, columns: readonly string[], scratch: Scratch): OpenRowGroup {
  const chunks = new Map(columns.map((name) => [name, chunkOf(group, name)]));
  const start = Math.min(...[...chunks.values()].map(({ offset }) => offset));
  const end = Math.max(...[...chunks.values()].map((chunk) => chunk.offset + chunk.bytes));
  const bytes = read(file, start, scratch.bytes(end - start));
  return {
    column(name, from, to, out = new Float64Array(to - from)) {
      const chunk = chunks.get(name)!;
      const at = chunk.offset - start;
      const own = out.subarray(0, to - from);
      readRows(bytes.subarray(at, at + chunk.bytes), chunk, from, to, own);
      return own;
    },
  };
}

function chunkOf(group: RowGroup, name: string): Chunk {
  const chunk = group.columns.get(name);
  if (chunk === undefined) throw new Error(`it has no column '${name}' that can be read without a database`);
  return chunk;
}

function read(file: number, position: number, bytes: Buffer): Buffer {
  for (let at = 0; at < bytes.length;) {
    const count = readSync(file, bytes, at, bytes.length - at, position + at);
    if (count === 0) throw new Error("it is shorter than it was");
    at += count;
  }
  return bytes;
}

/** Memory for one reading at a time: fresh memory of this size costs as much as to read it. */
export class Scratch {
  #bytes = Buffer.alloc(0);
  #numbers = new Float64Array(0);

  bytes(length: number): Buffer {
    if (length > BYTES_KEPT_MAX) return Buffer.allocUnsafeSlow(length);
    if (this.#bytes.length < length) this.#bytes = Buffer.allocUnsafeSlow(length);
    return this.#bytes.subarray(0, length);
  }

  numbers(length: number): Float64Array {
    if (length > BYTES_KEPT_MAX / 8) return new Float64Array(length);
    if (this.#numbers.length < length) this.#numbers = new Float64Array(length);
    return this.#numbers.subarray(0, length);
  }
}

const BYTES_KEPT_MAX = 4 * 1024 * 1024;
