/**
 * One message in the log, format 1. Big-endian, nothing aligned:
 *
 *   0       version 1 in the upper four bits; in the lower: QoS (2 bits), 4 retain, 8 the publisher has a thing
 *   1–6     receivedAt, milliseconds since 1970
 *   7       topic: two length bytes, UTF-8
 *           client identifier: likewise
 *           thing name: likewise, only with flag 8
 *           property length (1 to 4 bytes as MQTT's Variable Byte Integer), MQTT 5.0 property bytes
 *           payload, to the end
 *
 * How long the record is, and whether it is whole, is the log's to know (its batches have lengths and checksums).
 */
import type { QoS } from "../../base/mod.ts";

export const VERSION = 1;
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
  readonly propertiesStart: number;
  readonly propertiesEnd: number;
  /** The payload reaches to the end of the bytes. */
  readonly payloadStart: number;
}
