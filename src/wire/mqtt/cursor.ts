import { decodeUtf8, utf8Fault } from "../../base/mod.ts";
import { malformed } from "./fault.ts";

/** Longest Variable Byte Integer and its largest value (section 1.5.5). */
export const VARINT_BYTES_MAX = 4;
export const VARINT_MAX = 268_435_455;

/** Reads fields one after the other; for the packets that are not hot. Every read throws where the packet ends before. */
export class Cursor {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  u8(field: string): number {
    this.#need(1, field);
    return this.bytes[this.at++]!;
  }

  u16(field: string): number {
    this.#need(2, field);
    const value = (this.bytes[this.at]! << 8) | this.bytes[this.at + 1]!;
    this.at += 2;
    return value;
  }

  u32(field: string): number {
    const high = this.u16(field);
    return high * 0x1_0000 + this.u16(field);
  }

  varint(field: string): number {
    let value = 0;
    for (let shift = 0; shift < 7 * VARINT_BYTES_MAX; shift += 7) {
      const byte = this.u8(field);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw malformed(`the ${field} is encoded in more bytes than it needs`); // [MQTT-1.5.5-1]
        return value;
      }
    }
    throw malformed(`the ${field} is longer than ${VARINT_BYTES_MAX} bytes`);
  }

  /** UTF-8 string with two length bytes (section 1.5.4). */
  text(field: string): string {
    const from = this.skipBinary(field);
    checkText(this.bytes, from, this.at, `the ${field}`);
    return decodeUtf8(this.bytes, from, this.at);
  }

  /** Binary data with two length bytes (section 1.5.6), copied: the packet's bytes are not ours to keep. */
  binary(field: string): Uint8Array {
    const from = this.skipBinary(field);
    return this.bytes.slice(from, this.at);
  }

  /** Steps over a length and what it counts; returns where that starts. */
  skipBinary(field: string): number {
    const length = this.u16(field);
    this.#need(length, field);
    const from = this.at;
    this.at += length;
    return from;
  }

  done(packet: string): void {
    if (this.at !== this.end) throw malformed(`bytes after the last field of ${packet}: ${this.end - this.at}`);
  }

  #need(count: number, field: string): void {
    if (this.at + count > this.end) throw malformed(`the packet ends within its ${field}`);
  }
}

export function checkText(bytes: Uint8Array, from: number, to: number, field: string): void {
  const fault = utf8Fault(bytes, from, to);
  if (fault === "ill-formed") throw malformed(`${field} is not well-formed UTF-8`); // [MQTT-1.5.4-1]
  if (fault === "null-character") throw malformed(`${field} contains U+0000`); // [MQTT-1.5.4-2]
}
