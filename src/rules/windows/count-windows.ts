/** COUNT: the last `size` messages of a key, after each `every` of them, in the order in which they arrived. */
import type { EpochMs } from "../../base/mod.ts";
import type { SqlInput, WindowShape } from "../../sql/mod.ts";
import { gcd } from "./pane-windows.ts";
import { SCRATCH } from "./row-table.ts";
import type { RowTable } from "./row-table.ts";
import type { StateReader, StateWriter } from "./state-codec.ts";
import { RowLists } from "./window-kind.ts";
import type { WindowKind, WindowPorts } from "./window-kind.ts";

export class CountWindows implements WindowKind {
  readonly bytesPerKey = 8 + RowLists.bytesPerKey;
  readonly sideBytes = 0;
  readonly #ports: WindowPorts;
  readonly #rows: RowTable;
  readonly #lists: RowLists;
  readonly #size: number;
  readonly #every: number;
  readonly #pane: number;
  /** Messages of the key so far. */
  #seen = new Float64Array(0);

  constructor(shape: Extract<WindowShape, { kind: "count" }>, ports: WindowPorts) {
    this.#ports = ports;
    this.#rows = ports.rows;
    this.#lists = new RowLists(ports.rows);
    this.#size = shape.size;
    this.#every = shape.every;
    this.#pane = gcd(shape.size, shape.every);
  }

  grow(keys: number): void {
    const seen = new Float64Array(keys);
    seen.set(this.#seen);
    this.#seen = seen;
    this.#lists.grow(keys);
  }

  open(key: number): void {
    this.#seen[key] = 0;
  }

  drop(key: number): void {
    this.#lists.drop(key);
  }

  accept(key: number, input: SqlInput, time: EpochMs): null {
    let row = this.#lists.newest(key);
    if (row < 0 || this.#rows.countOf(row) >= this.#pane) row = this.#lists.insert(key, -1, time);
    this.#rows.add(row, input, time);
    this.#rows.stretch(row, Math.min(this.#rows.startOf(row), time), Math.max(this.#rows.lastOf(row), time));
    const seen = (this.#seen[key] = this.#seen[key]! + 1);
    const whole = seen >= this.#size && (seen - this.#size) % this.#every === 0;
    if (whole || this.#ports.emit === "changes") this.#result(key);
    if (whole) this.#trim(key);
    return null;
  }

  due(): EpochMs {
    return Infinity;
  }

  close(): void {}

  /** How far the next result is away is state, too. */
  idle(): boolean {
    return false;
  }

  write(key: number, writer: StateWriter): void {
    writer.f64(this.#seen[key]!);
    this.#lists.write(key, writer);
  }

  read(key: number, reader: StateReader): void {
    this.#seen[key] = reader.f64();
    this.#lists.read(key, reader);
  }

  #result(key: number): void {
    const rows = this.#lists.list(key).slice(0, this.#size / this.#pane);
    let start = Infinity;
    let end = -Infinity;
    this.#rows.clear(SCRATCH);
    for (const row of rows.reverse()) {
      this.#rows.merge(SCRATCH, row);
      start = Math.min(start, this.#rows.startOf(row));
      end = Math.max(end, this.#rows.lastOf(row));
    }
    this.#ports.result(key, SCRATCH, { start, end }, true);
  }

  /** Panes that no later result looks at. */
  #trim(key: number): void {
    for (const row of this.#lists.list(key).slice(Math.max(0, this.#size - this.#every) / this.#pane)) {
      this.#lists.remove(key, row);
    }
  }
}
