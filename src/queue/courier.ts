/**
 * Which readings travel: the window of those on the way, and what becomes of one that the platform refuses.
 * A reading leaves the outbox only when its PUBACK says success.
 */
import type { Counter, Limits, Logger, Metrics, Millis } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { Outbox } from "./outbox.ts";
import type { Reading } from "./store.ts";

export interface CourierOptions {
  readonly outbox: Outbox;
  readonly limits: Limits["edge"];
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface Parcel {
  /** MQTT packet identifier, 1 … 65535; belongs to one connection. */
  readonly packetId: number;
  readonly reading: Reading;
}

/** Refusals that the same reading will meet again, unless someone changes something. */
const PERMANENT: ReadonlySet<number> = new Set([
  REASON.notAuthorized,
  REASON.topicNameInvalid,
  REASON.packetTooLarge,
  REASON.payloadFormatInvalid,
]);

/**
 * What a platform may end the whole connection with because of one publish (AWS IoT does so where its policy forbids it).
 * It does not say which one, so afterwards readings travel one by one until the culprit is known.
 */
const POISONOUS: ReadonlySet<number> = new Set([
  ...PERMANENT,
  REASON.malformedPacket,
  REASON.protocolError,
  REASON.topicAliasInvalid,
  REASON.retainNotSupported,
]);

/** Readings refused with these are sent again after a restart: what was wrong lay outside of them. */
export const CURABLE_REFUSALS: readonly number[] = [REASON.notAuthorized, REASON.packetTooLarge];

/** Readings that arrive one by one before the window opens again. */
const CAREFUL_FOR = 100;

export class Courier {
  readonly #options: CourierOptions;
  readonly #counters: { delivered: Counter; retried: Counter; buried: Counter };
  /** By packet identifier, in the order in which they were sent. */
  readonly #onTheWay = new Map<number, { readonly sequence: number; readonly sentAt: Millis }>();
  /** Refusals so far, of readings that were refused and not yet accepted. */
  readonly #refusals = new Map<number, number>();
  #window = 0;
  #lastPacketId = 0;
  #pausedUntil: Millis | null = null;
  #refusedInRow = 0;
  #careful = 0;
  #toTell: { count: number; first: number; reasonCode: number } | null = null;

  constructor(options: CourierOptions) {
    this.#options = options;
    const count = (result: string): Counter =>
      options.metrics.counter({
        name: "tidewire_uplink_readings_total",
        help: "Readings by what became of a delivery: acknowledged, refused and tried again, refused for good.",
        labels: { result },
      });
    this.#counters = { delivered: count("delivered"), retried: count("retried"), buried: count("refused") };
  }

  /** A connection is up. `receiveMaximum`: publishes that the broker takes at once (MQTT 5.0 section 3.2.2.3.3). */
  begin(receiveMaximum: number): void {
    this.#window = Math.min(receiveMaximum, this.#options.limits.outboxInflightMax);
    this.#lastPacketId = 0;
    this.#pausedUntil = null;
    this.#refusedInRow = 0;
  }

  /** The connection is gone; `dismissedWith`: the reason code of the platform's DISCONNECT. */
  end(dismissedWith: number | null): void {
    if (dismissedWith !== null && POISONOUS.has(dismissedWith)) this.#suspect(dismissedWith);
    this.#onTheWay.clear();
    this.#window = 0;
    this.#pausedUntil = null;
    this.#options.outbox.release();
    this.#tell();
  }

  /** What to send now. */
  next(now: Millis): Parcel[] {
    if (this.#pausedUntil !== null) {
      // Those before a refused one are awaited first: then the order is kept when it travels again.
      if (now < this.#pausedUntil || this.#onTheWay.size > 0) return [];
      this.#pausedUntil = null;
    }
    const window = this.#careful > 0 ? Math.min(1, this.#window) : this.#window;
    const room = window - this.#onTheWay.size;
    if (room <= 0) return [];
    return this.#options.outbox.take(room).map((reading) => {
      const packetId = this.#freePacketId();
      this.#onTheWay.set(packetId, { sequence: reading.sequence, sentAt: now });
      return { packetId, reading };
    });
  }

  /** PUBACK. `jitter`: uniform in [0, 1). */
  acknowledged(packetId: number, reasonCode: number, now: Millis, jitter: number): void {
    const parcel = this.#onTheWay.get(packetId);
    if (parcel === undefined) return;
    this.#onTheWay.delete(packetId);
    if (reasonCode < 0x80) this.#delivered(parcel.sequence);
    else this.#refused(parcel.sequence, reasonCode, now, jitter);
    if (this.#onTheWay.size === 0) this.#tell();
  }

  /** The parcel is larger than the broker takes (its Maximum Packet Size); it was not sent [MQTT-3.2.2-15]. */
  unsendable(parcel: Parcel): void {
    this.#onTheWay.delete(parcel.packetId);
    this.#bury(parcel.reading.sequence, REASON.packetTooLarge);
    if (this.#onTheWay.size === 0) this.#tell();
  }

  get inflight(): number {
    return this.#onTheWay.size;
  }

  get delivered(): number {
    return this.#counters.delivered.value;
  }

  /** Since when the oldest has been waiting for its PUBACK. */
  get unacknowledgedSince(): Millis | null {
    for (const { sentAt } of this.#onTheWay.values()) return sentAt;
    return null;
  }

  /** When `next` has something again although nothing else happens; null: not by time alone. */
  get resumesAt(): Millis | null {
    return this.#onTheWay.size > 0 ? null : this.#pausedUntil;
  }

  #delivered(sequence: number): void {
    this.#options.outbox.acknowledge(sequence);
    this.#counters.delivered.value++;
    this.#refusals.delete(sequence);
    this.#refusedInRow = 0;
    if (this.#careful > 0) this.#careful--;
  }

  #refused(sequence: number, reasonCode: number, now: Millis, jitter: number): void {
    if (!this.#givenUp(sequence, reasonCode)) {
      this.#options.outbox.giveBack(sequence);
      this.#counters.retried.value++;
    }
    const { refusalDelayMin: shortest, refusalDelayMax: longest } = this.#options.limits;
    const delay = Math.min(longest, shortest * 2 ** Math.min(this.#refusedInRow, 30));
    if (this.#pausedUntil !== null) return; // of the same volley
    this.#refusedInRow++;
    this.#pausedUntil = now + delay / 2 + (jitter * delay) / 2;
    this.#options.logger.warn("the platform refuses readings for the moment; they are kept and tried again", {
      reasonCode: hex(reasonCode),
      sequence,
      pauseMs: Math.round(this.#pausedUntil - now),
      fix: refusalFix(reasonCode),
    });
  }

  /** The platform ended the connection because of a publish; which one, it did not say. */
  #suspect(reasonCode: number): void {
    const [parcel] = this.#onTheWay.values();
    if (parcel === undefined) return;
    if (this.#onTheWay.size === 1) this.#givenUp(parcel.sequence, reasonCode);
    this.#careful = CAREFUL_FOR;
  }

  /** Counts a refusal; true where it was one too many and the reading is a dead letter now. */
  #givenUp(sequence: number, reasonCode: number): boolean {
    if (!POISONOUS.has(reasonCode)) return false;
    const refusals = (this.#refusals.get(sequence) ?? 0) + 1;
    this.#refusals.set(sequence, refusals);
    if (refusals < this.#options.limits.refusalAttemptsMax) return false;
    this.#bury(sequence, reasonCode);
    return true;
  }

  #bury(sequence: number, reasonCode: number): void {
    this.#refusals.delete(sequence);
    this.#options.outbox.bury(sequence, reasonCode);
    this.#counters.buried.value++;
    this.#toTell ??= { count: 0, first: sequence, reasonCode };
    this.#toTell.count++;
  }

  /** One line per volley, however many it buried. */
  #tell(): void {
    if (this.#toTell === null) return;
    const { count, first, reasonCode } = this.#toTell;
    this.#toTell = null;
    this.#options.logger.error("the platform refuses readings for good; they are kept as dead letters", {
      readings: count,
      firstSequence: first,
      reasonCode: hex(reasonCode),
      fix: refusalFix(reasonCode),
    });
  }

  #freePacketId(): number {
    do this.#lastPacketId = this.#lastPacketId === 65_535 ? 1 : this.#lastPacketId + 1;
    while (this.#onTheWay.has(this.#lastPacketId));
    return this.#lastPacketId;
  }
}

function hex(code: number): string {
  return `0x${code.toString(16).padStart(2, "0")}`;
}

function refusalFix(code: number): string {
  switch (code) {
    case REASON.notAuthorized:
      return "Allow iot:Publish on the topic in the policy of this thing's certificate, then restart the agent: it sends them again.";
    case REASON.packetTooLarge:
      return "Raise the platform's packet limit and restart the agent, or make the source's readings smaller.";
    case REASON.topicNameInvalid:
    case REASON.payloadFormatInvalid:
      return "Correct the source that makes these readings.";
    default:
      return "Nothing to do: the agent tries again by itself. If it goes on, look at the platform's log.";
  }
}
