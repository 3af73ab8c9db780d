/** Whole frames: not masked from the server, masked from a client (RFC 6455 section 5.1). */
import { OPCODE } from "./frame-reader.ts";

const FINAL = 0x80;
const MASKED = 0x80;

/** What stands before `length` bytes of binary payload. */
export function binaryHeader(length: number): Uint8Array {
  const first = FINAL | OPCODE.binary;
  if (length < 126) return Uint8Array.of(first, length);
  if (length < 65_536) return Uint8Array.of(first, 126, length >> 8, length & 0xff);
  const header = new Uint8Array(10);
  const view = new DataView(header.buffer);
  view.setUint8(0, first);
  view.setUint8(1, 127);
  view.setUint32(2, Math.floor(length / 2 ** 32));
  view.setUint32(6, length % 2 ** 32);
  return header;
}

/** `payload`: the ping's, up to 125 bytes. */
export function pongFrame(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(2 + payload.length);
  frame[0] = FINAL | OPCODE.pong;
  frame[1] = payload.length;
  frame.set(payload, 2);
  return frame;
}

export function closeFrame(code: number): Uint8Array {
  return Uint8Array.of(FINAL | OPCODE.close, 2, code >> 8, code & 0xff);
}

/** A client's frame; `mask` has four bytes that nobody can foretell (RFC 6455 section 5.3). */
export function maskedFrame(
  kind: "binary" | "close" | "pong",
  payload: Uint8Array,
  mask: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const { length } = payload;
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const at = 2 + lengthBytes + 4;
  const frame = new Uint8Array(at + length);
  frame[0] = FINAL | OPCODE[kind];
  frame[1] = MASKED | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  const view = new DataView(frame.buffer);
  if (lengthBytes === 2) view.setUint16(2, length);
  else if (lengthBytes === 8) view.setBigUint64(2, BigInt(length));
  frame.set(mask, at - 4);
  for (let i = 0; i < length; i++) frame[at + i] = payload[i]! ^ mask[i & 3]!;
  return frame;
}
