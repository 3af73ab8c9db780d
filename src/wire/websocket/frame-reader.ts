/** WebSocket framing (RFC 6455 section 5): chunks of any size in, pieces of binary messages out. */

/** Where pieces and control frames go. What is handed over is valid during the call only. */
export interface FrameHandler {
  /** The next piece of the stream, unmasked in place; a message may come in any number of them. */
  data(bytes: Uint8Array): void;
  ping(payload: Uint8Array): void;
  /** The peer's last frame; `code` is what is to be sent back. Nothing after it is read. */
  close(code: number): void;
}

export type FrameFaultKind =
  | "text"
  | "unmasked"
  | "masked"
  | "reserved-bits"
  | "opcode"
  | "control-frame"
  | "fragments"
  | "length"
  | "close-frame";

export interface FrameFault {
  readonly kind: FrameFaultKind;
  /** For our Close frame (RFC 6455 section 7.4.1). */
  readonly closeCode: number;
  readonly detail: string;
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export const CLOSE_CODE = { normal: 1000, protocolError: 1002, unsupportedData: 1003, tooLarge: 1009 } as const;

/**
 * A frame's payload is passed on as it arrives, so its length costs nothing; but no MQTT packet is longer than 256 MiB,
 * and who announces more than that speaks something else.
 */
const FRAME_BYTES_MAX = 268_435_460;
/** RFC 6455 section 5.5. */
const CONTROL_BYTES_MAX = 125;
const CONTROL_BIT = 8;

const FIRST = 0;
const SECOND = 1;
const LENGTH = 2;
const MASK = 3;
const PAYLOAD = 4;

const EMPTY = new Uint8Array(0);

/** Incremental: keeps a few numbers, and up to 125 bytes of a control frame that came in parts. */
export class FrameReader {
  readonly #handler: FrameHandler;
  /** Frames of a client are masked, those of a server never (RFC 6455 section 5.1). */
  readonly #masked: boolean;
  #stage = FIRST;
  #opcode = 0;
  #final = true;
  /** A binary message has begun and not ended. */
  #inMessage = false;
  /** Bytes of the length or of the mask still to come. */
  #missing = 0;
  #mask = 0;
  /** Payload bytes still to come. */
  #left = 0;
  #control: Uint8Array = EMPTY;
  #controlBytes = 0;
  #ended = false;

  constructor(handler: FrameHandler, from: "client" | "server" = "client") {
    this.#handler = handler;
    this.#masked = from === "client";
  }

  /** Reads a chunk, which is overwritten where it is masked. A fault ends the reading: the connection has to be closed. */
  push(chunk: Uint8Array): FrameFault | null {
    let at = 0;
    while (at < chunk.length && !this.#ended) {
      if (this.#stage === PAYLOAD) {
        at = this.#payload(chunk, at);
        if (this.#left > 0) return null;
      } else {
        const fault = this.#header(chunk[at++]!);
        if (fault !== null) return this.#end(fault);
        if (this.#stage !== PAYLOAD || this.#left > 0) continue;
      }
      const fault = this.#frameDone();
      if (fault !== null) return this.#end(fault);
    }
    return null;
  }

  /** Nothing more is read. */
  stop(): void {
    this.#ended = true;
  }

  #end(fault: FrameFault): FrameFault {
    this.#ended = true;
    return fault;
  }

  #header(byte: number): FrameFault | null {
    switch (this.#stage) {
      case FIRST:
        return this.#first(byte);
      case SECOND:
        return this.#second(byte);
      case LENGTH:
        this.#left = this.#left * 256 + byte; // above 2^53 it is inexact, and refused
        if (--this.#missing > 0) return null;
        this.#expectMask();
        return this.#left > FRAME_BYTES_MAX ? TOO_LARGE : null;
      default:
        this.#mask = (this.#mask << 8) | byte;
        if (--this.#missing === 0) this.#stage = PAYLOAD;
        return null;
    }
  }

  #first(byte: number): FrameFault | null {
    if ((byte & 0x70) !== 0) return RESERVED_BITS;
    this.#opcode = byte & 0x0f;
    this.#final = byte >= 0x80;
    this.#stage = SECOND;
    switch (this.#opcode) {
      case OPCODE.continuation:
        return this.#inMessage ? null : CONTINUATION_OF_NOTHING;
      case OPCODE.binary:
        return this.#inMessage ? MESSAGE_IN_MESSAGE : null;
      case OPCODE.text:
        return TEXT; // [MQTT-6.0.0-1]
      case OPCODE.close:
      case OPCODE.ping:
      case OPCODE.pong:
        return this.#final ? null : FRAGMENTED_CONTROL;
      default:
        return UNKNOWN_OPCODE;
    }
  }

  #second(byte: number): FrameFault | null {
    if (byte < 0x80 && this.#masked) return UNMASKED;
    if (byte >= 0x80 && !this.#masked) return MASKED;
    const length = byte & 0x7f;
    if (length > CONTROL_BYTES_MAX) {
      if (this.#opcode >= CONTROL_BIT) return LARGE_CONTROL;
      this.#left = 0;
      this.#missing = length === 126 ? 2 : 8;
      this.#stage = LENGTH;
      return null;
    }
    this.#left = length;
    this.#expectMask();
    return null;
  }

  #expectMask(): void {
    if (!this.#masked) {
      this.#stage = PAYLOAD;
      return;
    }
    this.#missing = 4;
    this.#mask = 0;
    this.#stage = MASK;
  }

  /** Unmasks what there is of the payload and passes it on; returns where it ended. */
  #payload(chunk: Uint8Array, from: number): number {
    const to = Math.min(chunk.length, from + this.#left);
    this.#left -= to - from;
    if (this.#masked) this.#mask = unmask(chunk, from, to, this.#mask);
    if (this.#opcode < CONTROL_BIT) {
      // Frames and MQTT packets need not align [MQTT-6.0.0-2].
      this.#handler.data(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
      return to;
    }
    if (this.#controlBytes === 0 && this.#left === 0) {
      this.#control = chunk.subarray(from, to);
    } else {
      if (this.#controlBytes === 0) this.#control = new Uint8Array(CONTROL_BYTES_MAX);
      this.#control.set(chunk.subarray(from, to), this.#controlBytes);
    }
    this.#controlBytes += to - from;
    return to;
  }

  #frameDone(): FrameFault | null {
    this.#stage = FIRST;
    if (this.#opcode < CONTROL_BIT) {
      this.#inMessage = !this.#final;
      return null;
    }
    const payload = this.#control.subarray(0, this.#controlBytes);
    this.#control = EMPTY;
    this.#controlBytes = 0;
    if (this.#opcode === OPCODE.ping) this.#handler.ping(payload);
    if (this.#opcode !== OPCODE.close) return null;
    const code = closeCodeOf(payload);
    if (code === null) return BAD_CLOSE;
    this.#ended = true;
    this.#handler.close(code);
    return null;
  }
}

/** Returns the mask as it applies to the byte behind `to`. */
function unmask(bytes: Uint8Array, from: number, to: number, mask: number): number {
  const [a, b, c, d] = [mask >>> 24, (mask >>> 16) & 0xff, (mask >>> 8) & 0xff, mask & 0xff];
  let at = from;
  for (const whole = to - ((to - from) & 3); at < whole; at += 4) {
    bytes[at]! ^= a;
    bytes[at + 1]! ^= b;
    bytes[at + 2]! ^= c;
    bytes[at + 3]! ^= d;
  }
  if (at < to) bytes[at]! ^= a;
  if (at + 1 < to) bytes[at + 1]! ^= b;
  if (at + 2 < to) bytes[at + 2]! ^= c;
  const turned = (to - at) * 8;
  return turned === 0 ? mask : (mask << turned) | (mask >>> (32 - turned));
}

/** RFC 6455 section 7.4: what may stand in a Close frame; null where this may not. */
function closeCodeOf(payload: Uint8Array): number | null {
  if (payload.length === 0) return CLOSE_CODE.normal;
  if (payload.length === 1) return null;
  const code = (payload[0]! << 8) | payload[1]!;
  const assigned = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
  return assigned || (code >= 3000 && code <= 4999) ? code : null;
}

function protocolError(kind: FrameFaultKind, detail: string): FrameFault {
  return { kind, closeCode: CLOSE_CODE.protocolError, detail };
}

const RESERVED_BITS = protocolError("reserved-bits", "a frame used extensions, and none was agreed on");
const UNKNOWN_OPCODE = protocolError("opcode", "a frame's type is not known");
const CONTINUATION_OF_NOTHING = protocolError("fragments", "a frame continues a message that had not begun");
const MESSAGE_IN_MESSAGE = protocolError("fragments", "a message began before the last one had ended");
const FRAGMENTED_CONTROL = protocolError("control-frame", "a control frame came in fragments");
const LARGE_CONTROL = protocolError("control-frame", "a control frame is longer than 125 bytes");
const UNMASKED = protocolError("unmasked", "a client's frame was not masked");
const MASKED = protocolError("masked", "a server's frame was masked");
const BAD_CLOSE = protocolError("close-frame", "a Close frame has no valid code");
const TEXT: FrameFault = {
  kind: "text",
  closeCode: CLOSE_CODE.unsupportedData,
  detail: "MQTT travels in binary frames, and this was a text frame",
};
const TOO_LARGE: FrameFault = {
  kind: "length",
  closeCode: CLOSE_CODE.tooLarge,
  detail: "a frame announced more than the largest MQTT packet",
};
