/** Bytes of saved state: little-endian, numbers as doubles, texts as UTF-8 behind their length, a checksum at the end. */
import { decodeUtf8, encodeUtf8 } from "../../base/mod.ts";
import type { JsonValue } from "../../base/mod.ts";
import type { StateValue } from "../../sql/mod.ts";

const TAG_UNDEFINED = 0;
const TAG_NUMBER = 1;
const TAG_TEXT = 2;
const TAG_JSON = 3;

export class StateWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  u32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  f64(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** Nearly all are short and ASCII: those are written where they belong, without a copy. */
  text(value: string): void {
    const { length } = value;
    this.#room(4 + length);
    const start = this.#at + 4;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.bytes(encodeUtf8(value));
        return;
      }
      this.#bytes[start + i] = code;
    }
    this.#view.setUint32(this.#at, length, true);
    this.#at = start + length;
  }

  value(value: StateValue): void {
    if (value === undefined) this.u32(TAG_UNDEFINED);
    else if (typeof value === "number") {
      this.u32(TAG_NUMBER);
      this.f64(value);
    } else if (typeof value === "string") {
      this.u32(TAG_TEXT);
      this.text(value);
    } else {
      this.u32(TAG_JSON);
      this.text(JSON.stringify(value));
    }
  }

  /** Bytes of another one, by `cut`. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** All that was written; the writer is empty afterwards. */
  cut(): Uint8Array {
    const cut = this.#bytes.slice(0, this.#at);
    this.#at = 0;
    return cut;
  }

  /** All that was written, with its checksum; the writer is empty afterwards. */
  take(): Uint8Array {
    this.u32(crc32(this.#bytes, this.#at));
    return this.cut();
  }

  #room(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + more));
    bytes.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

/** State that cannot be read: damaged, or of a version that this one does not know. */
export class StateUnreadable extends Error {}

export class StateReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  /** Throws `StateUnreadable` where the checksum does not fit. */
  constructor(bytes: Uint8Array) {
    const end = bytes.length - 4;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (end < 0 || this.#view.getUint32(end, true) !== crc32(bytes, end)) {
      throw new StateUnreadable("the checksum does not fit");
    }
    this.#bytes = bytes.subarray(0, end);
  }

  u32(): number {
    this.#need(4);
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }

  f64(): number {
    this.#need(8);
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, true);
  }

  bytes(): Uint8Array {
    const length = this.u32();
    this.#need(length);
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  text(): string {
    const bytes = this.bytes();
    return decodeUtf8(bytes, 0, bytes.length);
  }

  value(): StateValue {
    const tag = this.u32();
    if (tag === TAG_UNDEFINED) return undefined;
    if (tag === TAG_NUMBER) return this.f64();
    if (tag === TAG_TEXT) return this.text();
    if (tag === TAG_JSON) return JSON.parse(this.text()) as JsonValue;
    throw new StateUnreadable("a value of an unknown kind");
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  #need(more: number): void {
    if (this.#at + more > this.#bytes.length) throw new StateUnreadable("it ends too early");
  }
}

/** Four tables of 256: what a byte does to the checksum, 0 to 3 bytes further on (Kounavis and Berry, "slicing"). */
const CRC_TABLES = new Int32Array(1024);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = (c & 1) === 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  CRC_TABLES[n] = c;
}
for (let n = 256; n < 1024; n++) {
  const before = CRC_TABLES[n - 256]!;
  CRC_TABLES[n] = (before >>> 8) ^ CRC_TABLES[before & 0xff]!;
}

/** CRC-32 (ISO 3309), as in zip and PNG; four bytes at a time. */
function crc32(bytes: Uint8Array, length: number): number {
  let crc = -1;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc =
      CRC_TABLES[768 + (crc & 0xff)]! ^
      CRC_TABLES[512 + ((crc >>> 8) & 0xff)]! ^
      CRC_TABLES[256 + ((crc >>> 16) & 0xff)]! ^
      CRC_TABLES[crc >>> 24]!;
  }
  for (; i < length; i++) crc = CRC_TABLES[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}
