/** Frames of a client: first byte, mask bit and length, mask (37 fa 21 3d, as in RFC 6455 section 5.7), masked payload. */

export interface FrameCase {
  readonly title: string;
  readonly bytes: Uint8Array;
  /** Payload of all binary frames, as text; empty unless told. */
  readonly data?: string;
  readonly pings?: readonly string[];
  readonly close?: number;
  readonly fault?: string;
}

const MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

/** One masked frame. `length`: its mask bit and length as they shall stand there, in hexadecimal. */
export function masked(first: number, payload: string | Uint8Array, length?: string): Uint8Array {
  const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const hidden = bytes.map((byte, i) => byte ^ MASK[i % 4]!);
  return joined([Uint8Array.of(first), hex(length ?? shortestLength(bytes.length)), MASK, hidden]);
}

function shortestLength(length: number): string {
  if (length < 126) return (0x80 | length).toString(16);
  return length < 65_536 ? `fe${length.toString(16).padStart(4, "0")}` : `ff${length.toString(16).padStart(16, "0")}`;
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (two) => Number.parseInt(two, 16));
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const BIG = "0123456789abcdef".repeat(4096);

export const FRAME_CASES: readonly FrameCase[] = [
  { title: "a binary frame", bytes: joined([masked(0x82, "Hello")]), data: "Hello" },
  { title: "an empty binary frame", bytes: joined([masked(0x82, "")]) },
  { title: "two frames, two messages", bytes: joined([masked(0x82, "ab"), masked(0x82, "c")]), data: "abc" },
  {
    title: "a message in three fragments",
    bytes: joined([masked(0x02, "a"), masked(0x00, "bc"), masked(0x80, "d")]),
    data: "abcd",
  },
  {
    title: "a ping between fragments",
    bytes: joined([masked(0x02, "a"), masked(0x89, "hi"), masked(0x80, "b")]),
    data: "ab",
    pings: ["hi"],
  },
  {
    title: "an empty ping, and a pong that nobody asked for",
    bytes: joined([masked(0x89, ""), masked(0x8a, "ok")]),
    pings: [""],
  },
  {
    title: "empty fragments",
    bytes: joined([masked(0x02, ""), masked(0x00, ""), masked(0x00, ""), masked(0x80, "x")]),
    data: "x",
  },
  { title: "a length of two bytes", bytes: joined([masked(0x82, "x".repeat(126))]), data: "x".repeat(126) },
  { title: "a length of eight bytes", bytes: joined([masked(0x82, BIG)]), data: BIG },
  { title: "a length in more bytes than needed", bytes: joined([masked(0x82, "ab", "fe 0002")]), data: "ab" },
  { title: "Close without a code is answered as normal", bytes: joined([masked(0x88, "")]), close: 1000 },
  {
    title: "Close with a code and a reason",
    bytes: joined([masked(0x88, joined([hex("03e9"), hex("627965")]))]),
    close: 1001,
  },
  { title: "Close with an application's code", bytes: joined([masked(0x88, hex("0fa0"))]), close: 4000 },
  { title: "nothing is read after Close", bytes: joined([masked(0x88, ""), masked(0x82, "x")]), close: 1000 },
  { title: "a text frame [MQTT-6.0.0-1]", bytes: joined([masked(0x81, "a")]), fault: "text" },
  {
    title: "a text frame behind good ones",
    bytes: joined([masked(0x82, "a"), masked(0x81, "b")]),
    data: "a",
    fault: "text",
  },
  { title: "a frame without a mask", bytes: joined([hex("82 05 48656c6c6f")]), fault: "unmasked" },
  { title: "a ping without a mask", bytes: joined([hex("89 00")]), fault: "unmasked" },
  { title: "a compressed frame", bytes: joined([masked(0xc2, "a")]), fault: "reserved-bits" },
  { title: "the second reserved bit", bytes: joined([masked(0xa2, "a")]), fault: "reserved-bits" },
  { title: "the third reserved bit", bytes: joined([masked(0x92, "a")]), fault: "reserved-bits" },
  { title: "an unknown data frame", bytes: joined([masked(0x83, "a")]), fault: "opcode" },
  { title: "an unknown control frame", bytes: joined([masked(0x8b, "")]), fault: "opcode" },
  { title: "a fragmented ping", bytes: joined([masked(0x09, "a")]), fault: "control-frame" },
  { title: "a fragmented Close", bytes: joined([masked(0x08, "")]), fault: "control-frame" },
  { title: "a ping of 126 bytes", bytes: joined([hex("89 fe 007e")]), fault: "control-frame" },
  { title: "a Close of 8 exabytes", bytes: joined([hex("88 ff")]), fault: "control-frame" },
  { title: "a continuation of nothing", bytes: joined([masked(0x80, "a")]), fault: "fragments" },
  {
    title: "a continuation of a message that has ended",
    bytes: joined([masked(0x82, "a"), masked(0x80, "b")]),
    data: "a",
    fault: "fragments",
  },
  {
    title: "a message within a message",
    bytes: joined([masked(0x02, "a"), masked(0x82, "b")]),
    data: "a",
    fault: "fragments",
  },
  { title: "a frame of 8 exabytes", bytes: joined([masked(0x82, "", "ff 7fffffffffffffff")]), fault: "length" },
  {
    title: "a length with its highest bit set",
    bytes: joined([masked(0x82, "", "ff 8000000000000001")]),
    fault: "length",
  },
  {
    title: "a frame one byte longer than MQTT's longest packet",
    bytes: joined([masked(0x82, "", "ff 0000000010000005")]),
    fault: "length",
  },
  { title: "a Close with half a code", bytes: joined([masked(0x88, hex("03"))]), fault: "close-frame" },
  { title: "a Close with a code below 1000", bytes: joined([masked(0x88, hex("03e7"))]), fault: "close-frame" },
  {
    title: "a Close with a code that only programs may see",
    bytes: joined([masked(0x88, hex("03ee"))]),
    fault: "close-frame",
  },
  { title: "a Close with a code above 4999", bytes: joined([masked(0x88, hex("1388"))]), fault: "close-frame" },
];
