/** Thrift's compact protocol as far as Parquet's headers use it (thrift/doc/specs/thrift-compact-protocol.md). */

/** Fields by their number. */
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;
export type ThriftValue = number | boolean | Uint8Array | ThriftStruct | readonly ThriftValue[];

const [STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12];
/** Structs in structs; Parquet's are five deep. */
const DEPTH_MAX = 16;

export class ThriftReader {
  readonly #bytes: Uint8Array;
  /** Of the next byte. */
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  struct(depth = 0): ThriftStruct {
    if (depth > DEPTH_MAX) throw new Error("its header is nested too deeply");
    const fields = new Map<number, ThriftValue>();
    for (let id = 0; ;) {
      const head = this.#byte();
      const type = head & 15;
      if (type === STOP) return fields;
      id = head >> 4 === 0 ? this.#zigzag() : id + (head >> 4);
      fields.set(id, type === TRUE || type === FALSE ? type === TRUE : this.#value(type, depth));
    }
  }

  /** Integers of more than 53 bits lose their last ones; no length or offset has so many. */
  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  #value(type: number, depth: number): ThriftValue {
    switch (type) {
      case TRUE: // inside of lists booleans are bytes
      case FALSE:
      case BYTE:
        return this.#byte();
      case I16:
      case I32:
      case I64:
        return this.#zigzag();
      case DOUBLE:
        return this.#take(8);
      case BINARY:
        return this.#take(this.varint());
      case LIST:
        return this.#list(depth);
      case STRUCT:
        return this.struct(depth + 1);
    }
    throw new Error(`its header has a field of the unknown type ${type}`);
  }

  #list(depth: number): readonly ThriftValue[] {
    const head = this.#byte();
    const size = head >> 4 === 15 ? this.varint() : head >> 4;
    if (size > this.#bytes.length) throw new Error("its header has a list that is longer than itself");
    return Array.from({ length: size }, () => this.#value(head & 15, depth));
  }

  #zigzag(): number {
    return unzigzag(this.varint());
  }

  #take(length: number): Uint8Array {
    const end = this.at + length;
    if (end > this.#bytes.length) throw new Error("its header is cut off");
    const taken = this.#bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  #byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw new Error("its header is cut off");
    return byte;
  }
}

/** 0, 1, 2, 3 … → 0, -1, 1, -2 … */
export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
