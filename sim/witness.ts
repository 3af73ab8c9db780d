/**
 * Sees everything that crosses a boundary of the simulated platform and knows what must be true of it. What is wrong is
 * kept, not thrown: the code that is watched must not be able to swallow it.
 *
 * 1. A reading that an agent has on disk is stored exactly once, or counted as dropped, and keeps its value and time.
 * 2. The log holds each outbox's readings in order; what the log refused while it was full, or lost from a torn group of
 *    batches of which a later one was whole, may come later.
 * 3. No PUBACK leaves for what is not durable, and what was acknowledged is in the log after every restart.
 * 4. Nothing is stored, or delivered, that no agent accepted; an offset that was durable keeps its message for ever.
 * 5. A QoS 1 subscriber with a session gets everything since it subscribed, at first in order.
 * 6. The retained message is the last one in the log.
 * 7. The store never runs ahead of the log, misses no record of it, and its file is never blamed.
 * 8. Every reading in the log reaches a rule's webhook, durable, under one identifier.
 * 9. Once faults end, everything has arrived within five simulated minutes.
 */
import { stampOf } from "../src/base/mod.ts";
import type { Message } from "../src/base/mod.ts";
import type { StoredRow } from "./telemetry-database.ts";
import type { Trace } from "./trace.ts";

/** A reading that an agent has on disk, hence owes to the platform. */
export interface AcceptedReading {
  readonly thing: string;
  readonly outbox: string;
  readonly sequence: number;
  /** Its own time, or null where the platform gives it one. */
  readonly time: number | null;
}

/** A record as it was appended. Payloads of the simulation are unique, so a text names a message. */
export interface Appended {
  readonly topic: string;
  readonly text: string;
  readonly clientId: string;
  readonly outbox: string | null;
  readonly sequence: number;
  readonly retain: boolean;
}

export class Witness {
  /** By payload. */
  readonly accepted = new Map<string, AcceptedReading>();
  /** Readings that an agent gave up and counted. */
  readonly givenUp = new Set<string>();
  /** Readings that the platform refused at least once: they may travel behind younger ones. */
  readonly refused = new Set<string>();
  /** Payloads that were acknowledged with success. */
  readonly acknowledged = new Set<string>();
  /** Payloads that are stored. */
  readonly stored = new Set<string>();
  /** Everything that was ever appended, what power cuts took as well. */
  readonly appended = new Set<string>();
  /** By offset, in this life of the log and before, without what power cuts took. */
  readonly log = new Map<number, Appended>();
  /**
   * Readings that a power cut took out of the log while younger ones stayed: of a group of batches that was being written,
   * one was torn and a later one was not, and recovery keeps what is whole. They come again, behind those.
   */
  readonly overtaken = new Set<string>();
  readonly counts = { duplicates: 0, acknowledgements: 0, refusals: 0, lostToPowerCuts: 0, recoveries: 0 };
  violation: string | null = null;
  /** Every offset below is known to somebody as durable. */
  durable = 0;
  next = 0;
  /** Offsets that were torn before they were durable, with whole ones behind them. */
  #tornOffsets = 0;
  readonly #offsets = new Map<string, number[]>();
  readonly #trace: Trace;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  wrong(what: string): void {
    this.violation ??= what;
    this.#trace.add("VIOLATION", what);
  }

  // ── the agents ──

  accept(text: string, reading: AcceptedReading): void {
    if (this.accepted.has(text)) this.wrong(`${text} was accepted twice`);
    this.accepted.set(text, reading);
  }

  /** The reading left the outbox's disk. `counted`: the outbox counts it as dropped. */
  left(text: string, counted: boolean): void {
    if (counted) this.givenUp.add(text);
    else if (!this.isDurable(text))
      this.wrong(`${text} left its outbox, and is neither durable nor counted as dropped`);
  }

  // ── the log ──

  append(offset: number, record: Appended): void {
    this.#trace.add("append", `${offset} ${record.text}`);
    this.#take(offset);
    this.#note(offset, record);
  }

  /** How far a session has come: no message. */
  appendNote(offset: number): void {
    this.#trace.add("note", String(offset));
    this.#take(offset);
  }

  #take(offset: number): void {
    if (offset < this.durable) this.wrong(`offset ${offset} was given out again; durable is ${this.durable}`);
    if (offset !== this.next) this.wrong(`offset ${offset} follows ${this.next - 1}`);
    this.next = offset + 1;
  }

  /** The log does not take it now. */
  refuse({ text }: Appended): void {
    this.#trace.add("refuse", text);
    this.counts.refusals++;
    this.refused.add(text);
  }

  reportedDurable(below: number): void {
    this.#trace.add("durable", String(below));
    if (below < this.durable || below > this.next) this.wrong(`durable goes from ${this.durable} to ${below}`);
    this.durable = Math.max(this.durable, below);
  }

  isDurable(text: string): boolean {
    return (this.#offsets.get(text) ?? []).some((offset) => offset < this.durable);
  }

  /** The log was opened again and holds this. */
  recovered(found: readonly (readonly [offset: number, message: Message])[], next: number): void {
    this.counts.recoveries++;
    if (next < this.durable) this.wrong(`the log ends at ${next}, and was durable up to ${this.durable}`);
    const texts = new Set<string>();
    const offsets = new Set<number>();
    for (const [offset, message] of found) {
      const known = this.log.get(offset);
      const { text, topic } = appendedOf(message);
      texts.add(text);
      offsets.add(offset);
      if (known?.text !== text || known.topic !== topic)
        this.wrong(`offset ${offset} is ${text} after the restart, and was ${known?.text}`);
    }
    const lastFound = found.at(-1)?.[0] ?? -1;
    // The log may leave out offsets that nobody knows to be durable, and go on behind them.
    for (const [offset, { text }] of this.log) {
      if (offsets.has(offset)) continue;
      if (offset < this.durable) this.wrong(`offset ${offset} (${text}) was durable and is lost`);
      if (offset < lastFound) {
        this.overtaken.add(text);
        this.#tornOffsets++;
      }
      this.#forget(offset, text);
    }
    for (const text of this.acknowledged)
      if (!texts.has(text)) this.wrong(`${text} was acknowledged, and the log lost it`);
    this.next = this.durable = next;
  }

  #forget(offset: number, text: string): void {
    this.counts.lostToPowerCuts++;
    this.log.delete(offset);
    const rest = this.#offsets.get(text)!.filter((other) => other !== offset);
    if (rest.length === 0) this.#offsets.delete(text);
    else this.#offsets.set(text, rest);
  }

  #note(offset: number, record: Appended): void {
    this.log.set(offset, record);
    this.appended.add(record.text);
    const before = this.#offsets.get(record.text);
    if (before === undefined) this.#offsets.set(record.text, [offset]);
    else {
      before.push(offset);
      this.counts.duplicates++;
    }
  }

  // ── acknowledgements, as they leave the broker ──

  acknowledge(text: string, reasonCode: number): void {
    this.#trace.add("puback", `${text} ${reasonCode}`);
    if (reasonCode >= 0x80) {
      if (!this.refused.has(text)) this.wrong(`${text} was refused, and the log had taken it`);
      return;
    }
    this.counts.acknowledgements++;
    this.acknowledged.add(text);
    if (!this.isDurable(text)) this.wrong(`${text} was acknowledged before it was durable`);
  }

  // ── the store ──

  store(rows: readonly StoredRow[], offset: number): void {
    this.#trace.add("commit", `${rows.length} rows below ${offset}`);
    if (offset > this.durable) this.wrong(`the store holds the log up to ${offset}, durable is ${this.durable}`);
    for (const { thing, measurement, field, time, value } of rows) {
      const text = readingText(value);
      const reading = this.accepted.get(text);
      if (this.stored.has(text)) this.wrong(`${text} is in the store twice`);
      this.stored.add(text);
      if (reading === undefined) this.wrong(`${text} is in the store, and no agent accepted it`);
      else if (reading.thing !== thing || measurement !== MEASUREMENT || field !== "n")
        this.wrong(`${text} is stored as ${thing}/${measurement}/${field}`);
      else if (reading.time !== null && reading.time !== time)
        this.wrong(`${text} is of ${reading.time}, and is stored as of ${time}`);
    }
  }

  /** The store's process says how many records it could not have. */
  storeMissed(records: number): void {
    if (records > this.#tornOffsets) this.wrong(`the store missed ${records} records; ${this.#tornOffsets} were torn`);
  }

  // ── in the end ──

  checkEnd(): void {
    for (const text of this.accepted.keys())
      if (!this.stored.has(text) && !this.givenUp.has(text))
        this.wrong(`${text} was accepted, and is not in the store`);
    this.#checkOrder([...this.log.values()], "the log");
  }

  /** Per outbox, first appearances ascend. */
  #checkOrder(records: readonly Appended[], where: string): void {
    const highest = new Map<string, number>();
    const seen = new Set<string>();
    for (const { text, outbox, sequence } of records) {
      if (outbox === null || seen.has(text) || this.refused.has(text) || this.overtaken.has(text)) continue;
      seen.add(text);
      const reading = this.accepted.get(text);
      if (reading?.outbox !== outbox || reading.sequence !== sequence)
        this.wrong(`${text} is ${outbox}/${sequence} in ${where}, and was accepted otherwise`);
      const before = highest.get(outbox) ?? 0;
      if (sequence < before) this.wrong(`${text} (${sequence}) comes behind ${before} in ${where}`);
      highest.set(outbox, Math.max(before, sequence));
    }
  }

  /**
   * What a subscriber of all telemetry received, in order, doubles included. `since`: the log's end when it was
   * subscribed; `earlier`: what had been appended by then, and comes to it only if it is sent again.
   */
  checkReceived(received: readonly string[], since: number, earlier: ReadonlySet<string>): void {
    const got = new Set(received);
    const known = new Map<string, Appended>();
    for (const [offset, record] of this.log) {
      const { topic, text } = record;
      if (!topic.startsWith("telemetry/")) continue;
      known.set(text, record);
      if (offset >= since && !got.has(text))
        this.wrong(`${text} (offset ${offset}) never reached the subscriber, who had been there since ${since}`);
    }
    for (const text of got)
      if (!this.accepted.has(text)) this.wrong(`the subscriber received ${text}, which nobody accepted`);
    this.#checkOrder(
      received.filter((text) => !earlier.has(text)).flatMap((text) => known.get(text) ?? []),
      "what the subscriber received",
    );
  }
}

/** Readings go to `telemetry/<thing>/m`. */
export const MEASUREMENT = "m";

const utf8 = new TextDecoder();

function readingText(value: unknown): string {
  return `n${String(value)}`;
}

/** A message's name: the number of a reading, or the whole payload of anything else. */
export function nameOf(payload: Uint8Array): string {
  const text = utf8.decode(payload);
  const number = /^\{"n":(\d+)/.exec(text)?.[1];
  return number === undefined ? text : readingText(number);
}

export function appendedOf(
  message: Pick<Message, "topic" | "payload" | "clientId" | "retain" | "properties">,
): Appended {
  const { topic, clientId, retain } = message;
  const stamp = stampOf(message.properties);
  const text = nameOf(message.payload);
  return { topic, text, clientId, retain, outbox: stamp?.outbox ?? null, sequence: stamp?.sequence ?? 0 };
}
