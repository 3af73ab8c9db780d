/**
 * One record in the log. Big-endian, nothing aligned. The upper four bits of its first byte say what it is, its next six
 * bytes when it was written. A message:
 *
 *   0       1, or 2 with a packet identifier; in the lower four bits: QoS (2 bits), 4 retain, 8 the publisher has a thing
 *   1–6     receivedAt, milliseconds since 1970
 *   7       topic: two length bytes, UTF-8
 *           client identifier: likewise
 *           thing name: likewise, only with flag 8
 *           packet identifier that it came with: two bytes, not 0; only in a record of kind 2
 *           property length (1 to 4 bytes as MQTT's Variable Byte Integer), MQTT 5.0 property bytes
 *           payload, to the end
 *
 * A note: what a session has to remember of its deliveries; no message, and nothing for those who want messages:
 *
 *   0       3; the lower four bits are 0
 *   1–6     when it was written
 *   7       client identifier: two length bytes, UTF-8
 *           parts in the order of their kinds, each at most once and never empty: kind (one byte), number of entries (two
 *           bytes), entries. 1 released, 2 received: packet identifiers, two bytes each; 4 sent: packet identifier,
 *           the offset of its message in eight bytes, its origin in four (all bits set: not known); 3 sent, as it was
 *           written before there were origins, never together with 4; 5 finished, one entry: place and offset, eight
 *           bytes each
 *
 * How long the record is, and whether it is whole, is the log's to know (its batches have lengths and checksums).
 */
import type { QoS } from "../../base/mod.ts";

export const KIND = { message: 1, identified: 2, note: 3 } as const;
export const KIND_MAX = 3;
export const PART = { released: 1, received: 2, sentBefore: 3, sent: 4, finished: 5 } as const;
export const IDENTIFIER_BYTES = 2;
/** Identifier and offset; with origin. */
export const SENT_BEFORE_BYTES = 10;
export const SENT_BYTES = 14;
/** Place and offset. */
export const FINISHED_BYTES = 16;
/** Entries of one part, each with a packet identifier of its own. */
export const PART_ENTRIES_MAX = 65_535;
export const FLAG = { qos: 3, retain: 4, thing: 8 } as const;
/** Where the topic's length stands. */
export const TOPIC_AT = 7;
export const TIME_MAX = 2 ** 48 - 1;
/** What the property length can say. */
export const PROPERTIES_BYTES_MAX = 268_435_455;

/** Where the fields of a record lie in its bytes. */
export interface RecordHead {
  readonly qos: QoS;
  readonly retain: boolean;
  readonly receivedAt: number;
  readonly topicStart: number;
  readonly topicEnd: number;
  readonly clientIdStart: number;
  readonly clientIdEnd: number;
  /** Both 0 where the publisher has no thing. */
  readonly thingStart: number;
  readonly thingEnd: number;
  /** 0 where the record has none. */
  readonly packetId: number;
  readonly propertiesStart: number;
  readonly propertiesEnd: number;
  /** The payload reaches to the end of the bytes. */
  readonly payloadStart: number;
}
