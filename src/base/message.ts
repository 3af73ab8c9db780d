import type { EpochMs } from "./units.ts";

export type QoS = 0 | 1 | 2;

/** MQTT 5.0 properties of a PUBLISH that travel with the message (section 3.3.2.3). */
export interface MessageProperties {
  readonly payloadFormat?: 0 | 1;
  /** Seconds; counted down by the time the message waited. */
  readonly messageExpirySeconds?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  /** In the order in which they were sent; names may repeat. */
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
}

/** One accepted message, as the log keeps it and every consumer sees it. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly clientId: string;
  /** Thing name that the publisher's certificate stands for; `null` where it stands for none. */
  readonly thing: string | null;
  /** When the broker accepted it. */
  readonly receivedAt: EpochMs;
  readonly properties: MessageProperties | null;
}

/**
 * User properties with which an edge agent stamps each reading, so that a resent one is recognised:
 * the outbox it came from and its number there (1, 2, 3 …; never reused within one outbox).
 */
export const STAMP_OUTBOX = "tw-outbox";
export const STAMP_SEQUENCE = "tw-seq";

/** Ahead of the topic of a message that was kept aside, because it does not fit the topic's schema: for dead letters. */
export const UNFIT_TOPIC = "$dead/";
/** User properties of a message that does not fit: its topic's schema, and why. */
export const UNFIT_SCHEMA = "tw-schema";
export const UNFIT_REASON = "tw-unfit";

export interface Stamp {
  readonly outbox: string;
  readonly sequence: number;
}

/** The stamp of a message, or `null` where it has none or a malformed one. */
export function stampOf(properties: MessageProperties | null): Stamp | null {
  let outbox: string | undefined;
  let sequence: number | undefined;
  for (const [name, value] of properties?.userProperties ?? []) {
    if (name === STAMP_OUTBOX && /^[0-9a-zA-Z_-]{1,64}$/.test(value)) outbox = value;
    else if (name === STAMP_SEQUENCE && /^[1-9][0-9]{0,14}$/.test(value)) sequence = Number(value);
  }
  return outbox === undefined || sequence === undefined ? null : { outbox, sequence };
}
