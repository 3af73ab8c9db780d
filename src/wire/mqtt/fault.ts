import type { TopicFault } from "../../base/mod.ts";
import { REASON } from "./reason.ts";
import type { ReaderLimits } from "./types.ts";

/** What a peer sent cannot be accepted. `reasonCode` is of MQTT 5.0, fit for DISCONNECT or CONNACK; `detail` for a log line. */
export class PacketError extends Error {
  readonly reasonCode: number;
  /** What is wrong and where, in words; holds no bytes of the peer. */
  readonly detail: string;
  /** The limit of ours that it is above; null where the protocol itself forbids it. */
  readonly limit: keyof ReaderLimits | null;

  constructor(reasonCode: number, detail: string, limit: keyof ReaderLimits | null = null) {
    super(detail);
    this.limit = limit;
    this.name = "PacketError";
    this.reasonCode = reasonCode;
    this.detail = detail;
  }
}

/** The bytes cannot be parsed according to the specification (section 1.2, "Malformed Packet"). */
export function malformed(detail: string): PacketError {
  return new PacketError(REASON.malformedPacket, detail);
}

/** The packet parses, but says what the protocol does not allow, or does so at the wrong time (section 1.2). */
export function protocolError(detail: string): PacketError {
  return new PacketError(REASON.protocolError, detail);
}

/** A topic name that may not be used here. */
export function topicRefused(what: string, fault: TopicFault): PacketError {
  const limit = fault === "too-long" ? "topicBytesMax" : fault === "too-deep" ? "topicLevelsMax" : null;
  return new PacketError(REASON.topicNameInvalid, `${what} is refused: ${fault}`, limit);
}
