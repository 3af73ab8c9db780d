/**
 * Sees what the log takes, what the state file has on disk, what leaves the broker and what clients are given, and knows
 * what must be true of it. What is wrong is kept, not thrown: the code that is watched must not be able to swallow it.
 */
import type { Message } from "../src/base/mod.ts";
import type { SessionChange } from "../src/broker/mod.ts";
import { SharedGroups } from "./broker-groups.ts";
import { SessionLedger } from "./broker-ledger.ts";
import type { Delivery, SentMessage } from "./broker-ledger.ts";
import type { Trace } from "./trace.ts";

interface Appended {
  readonly offset: number;
  readonly tick: number;
}

export class BrokerWitness {
  /** By text. */
  readonly sent = new Map<string, SentMessage>();
  /** Texts by offset: the log as it is, without what power cuts took. */
  readonly log = new Map<number, string>();
  readonly acknowledged = new Set<string>();
  /** By client id: as its client knows it. */
  readonly ledgers = new Map<string, SessionLedger>();
  readonly groups = new SharedGroups();
  /** Granted QoS by filter, by client id: what the state file has on disk. */
  readonly saved = new Map<string, Map<string, number>>();
  /** Highest acknowledged offset of a retained message, by topic. */
  readonly retainedConfirmed = new Map<string, number>();
  readonly counts = {
    sent: 0,
    acknowledged: 0,
    delivered: 0,
    duplicates: 0,
    refused: 0,
    lostToPowerCuts: 0,
    recoveries: 0,
  };
  violation: string | null = null;
  /** Grows with every event: when something was, for comparing. */
  tick = 0;
  /** Every offset below is on disk. */
  durable = 0;
  next = 0;
  /** Deliveries that the broker counted as dropped by a stated policy, in all of its lives. */
  dropped: () => number = () => 0;
  /** All appends of each text, those that were lost as well. */
  readonly #appended = new Map<string, Appended[]>();
  /** Power cuts took them out of the log while younger ones stayed: they come again, behind those. */
  readonly #overtaken = new Set<string>();
  readonly #refused = new Set<string>();
  /** Wills that must not be published any more, with their client, and whether that is on disk. */
  readonly #withdrawn = new Map<string, { readonly clientId: string; saved: boolean }>();
  readonly #trace: Trace;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  wrong(what: string): void {
    this.violation ??= what;
    this.#trace.add("VIOLATION", what);
  }

  // ── publishers ──

  publish(message: SentMessage): void {
    this.counts.sent++;
    this.sent.set(message.text, message);
  }

  /** It has read the acknowledgement, which has left the broker before. */
  safe({ text }: SentMessage): void {
    if (!this.acknowledged.has(text)) this.wrong(`${short(text)} is acknowledged, and the broker never said so`);
  }

  // ── the log ──

  append(
    offset: number,
    { topic, payload, clientId, qos, retain }: Pick<Message, "topic" | "payload" | "clientId" | "qos" | "retain">,
  ): void {
    this.tick++;
    const text = textOf(payload, topic);
    const message = this.sent.get(text);
    this.#trace.add("append", `${offset} ${short(text)} ${topic}${retain ? " retained" : ""} ${qos}`);
    if (offset < this.durable) this.wrong(`offset ${offset} was given out again; durable is ${this.durable}`);
    this.next = offset + 1;
    if (message === undefined) return this.wrong(`${short(text)} was accepted, and nobody sent it`);
    if (message.topic !== topic || message.publisher !== clientId || message.qos < qos || message.retain !== retain)
      this.wrong(`${short(text)} was accepted as something else: ${clientId} ${topic} ${qos} ${retain}`);
    if (this.#withdrawn.has(text)) this.wrong(`the will ${short(text)} was published, and its client had withdrawn it`);
    const appends = this.#appended.get(text) ?? [];
    const logged = appends.some((append) => this.log.get(append.offset) === text);
    if (logged && message.qos === 2) this.wrong(`${short(text)} came at QoS 2 and is in the log twice`);
    this.#appended.set(text, [...appends, { offset, tick: this.tick }]);
    this.log.set(offset, text);
    for (const ledger of this.ledgers.values()) ledger.appended(message, offset, appends.length === 0);
    this.groups.append(message, offset, this.ledgers.values());
  }

  /** What a session has to remember: it has an offset as messages have. */
  appendNote(offset: number): void {
    this.#trace.add("note", String(offset));
    if (offset < this.durable) this.wrong(`offset ${offset} was given out again; durable is ${this.durable}`);
    this.next = offset + 1;
  }

  refuse(payload: Uint8Array, topic: string): void {
    const text = textOf(payload, topic);
    this.#trace.add("refuse", short(text));
    this.counts.refused++;
    this.#refused.add(text);
  }

  reportedDurable(below: number): void {
    this.#trace.add("durable", String(below));
    this.durable = Math.max(this.durable, below);
  }

  isDurable(text: string): boolean {
    const appends = this.#appended.get(text) ?? [];
    return appends.some(({ offset }) => offset < this.durable && this.log.get(offset) === text);
  }

  /** The log was opened again and holds this. */
  recovered(found: readonly (readonly [offset: number, message: Message])[], next: number): void {
    this.counts.recoveries++;
    this.tick++;
    if (next < this.durable) this.wrong(`the log ends at ${next}, and was durable up to ${this.durable}`);
    const kept = new Map(found.map(([offset, { payload, topic }]) => [offset, textOf(payload, topic)]));
    for (const [offset, text] of kept)
      if (this.log.get(offset) !== text) this.wrong(`offset ${offset} is ${short(text)} after the restart`);
    const last = Math.max(-1, ...kept.keys());
    for (const [offset, text] of this.log) {
      if (kept.has(offset)) continue;
      if (offset < this.durable) this.wrong(`offset ${offset} (${short(text)}) was durable and is lost`);
      if (offset < last) this.#overtaken.add(text);
      this.counts.lostToPowerCuts++;
      this.log.delete(offset);
      for (const ledger of this.ledgers.values()) ledger.lost(text, offset);
      this.groups.lost(text, offset);
    }
    const texts = new Set(kept.values());
    for (const text of this.acknowledged)
      if (!texts.has(text)) this.wrong(`${short(text)} was acknowledged, and the log lost it`);
    this.next = this.durable = next;
  }

  // ── the state file ──

  /** These changes are on disk. */
  save(changes: readonly SessionChange[]): void {
    for (const { clientId, reset, session, subscriptions } of changes) {
      const will = session?.will === undefined || session.will === null ? null : utf8.decode(session.will.will.payload);
      for (const [text, withdrawn] of this.#withdrawn)
        if (withdrawn.clientId === clientId && text !== will) withdrawn.saved = true;
      if (reset) this.saved.delete(clientId);
      if (session === null) continue;
      const filters = this.saved.get(clientId) ?? new Map<string, number>();
      this.saved.set(clientId, filters);
      for (const [filter, subscription] of subscriptions) {
        if (subscription === null) filters.delete(filter);
        else filters.set(filter, subscription.qos);
      }
    }
  }

  // ── what leaves the broker ──

  /** Success of PUBACK or PUBREC: the message is the broker's from now on. */
  acknowledge(text: string): void {
    this.tick++;
    this.#trace.add("accepted", short(text));
    this.counts.acknowledged++;
    this.acknowledged.add(text);
    if (!this.isDurable(text)) this.wrong(`${short(text)} was acknowledged before it was durable`);
    const message = this.sent.get(text);
    if (message?.retain !== true) return;
    const kept = this.#appended.get(text)!.filter((append) => this.log.get(append.offset) === text);
    const offset = Math.max(...kept.map((append) => append.offset));
    this.retainedConfirmed.set(message.topic, Math.max(offset, this.retainedConfirmed.get(message.topic) ?? -1));
  }

  /** A refusal of PUBACK or PUBREC. */
  acknowledgeRefusal(text: string, reasonCode: number): void {
    this.#trace.add("refused", `${short(text)} ${reasonCode}`);
    if (!this.#refused.has(text)) this.wrong(`${short(text)} was refused with ${reasonCode}, and the log had taken it`);
  }

  welcome(clientId: string): void {
    if (!this.saved.has(clientId)) this.wrong(`CONNACK left before the session of ${clientId} was saved`);
  }

  grant(clientId: string, filter: string, qos: number): void {
    const saved = this.saved.get(clientId)?.get(filter);
    if (saved !== qos) this.wrong(`SUBACK left for ${clientId}, ${filter} at QoS ${qos}, and on disk it is ${saved}`);
  }

  end(clientId: string, filter: string): void {
    if (this.saved.get(clientId)?.has(filter) === true)
      this.wrong(`UNSUBACK left for ${clientId}, ${filter}, and on disk it is still there`);
  }

  // ── wills ──

  /** Its client has said good-bye. */
  withdraw(clientId: string, will: string): void {
    if (!this.#appended.has(will)) this.#withdrawn.set(will, { clientId, saved: false });
  }

  /** The broker died: nobody was told that it had heard a good-bye. */
  died(): void {
    for (const [will, { saved }] of this.#withdrawn) if (!saved) this.#withdrawn.delete(will);
    this.groups.brokerDied();
  }

  /** The broker knows that the connection was lost, and the will has no delay. */
  willIsDue(will: string): void {
    if (!this.#appended.has(will) && !this.#refused.has(will))
      this.wrong(`the connection with the will ${short(will)} was lost, and it was not published`);
  }

  // ── subscribers ──

  /** A session that its client knows nothing about begins. */
  begin(clientId: string, kept: boolean): SessionLedger {
    const ledger = new SessionLedger(clientId, kept);
    ledger.onLeave = (filter, forGood) => this.groups.leave(filter, forGood, this.sent, this.ledgers.values());
    this.ledgers.set(clientId, ledger);
    return ledger;
  }

  deliver(
    clientId: string,
    payload: Uint8Array,
    topic: string,
    how: Omit<Delivery, "message" | "appended">,
    dup: boolean,
  ): string {
    const text = textOf(payload, topic);
    this.tick++;
    this.#trace.add(
      "deliver",
      `${short(text)} to ${clientId} at ${how.qos}${dup ? " again" : ""}${how.retain ? " retained" : ""}${how.identifiers.length > 0 ? ` for ${how.identifiers.join()}` : ""}`,
    );
    this.counts.delivered++;
    const message = this.sent.get(text);
    const ledger = this.ledgers.get(clientId);
    if (message === undefined || ledger === undefined) {
      this.wrong(`${clientId} was given ${short(text)}, which nobody sent`);
      return text;
    }
    if (message.topic !== topic) this.wrong(`${short(text)} of ${message.topic} was delivered as ${topic}`);
    if (ledger.has(text)) this.counts.duplicates++;
    const appended = this.#appended.get(text) ?? [];
    const shared = this.groups.deliver(ledger, message, how);
    const fault = shared === undefined ? ledger.deliver({ message, appended, ...how }) : shared;
    if (fault === null) return text;
    // Refused, and the refusal lost on the way: its publisher sends it again, behind what was taken meanwhile.
    const late = this.#overtaken.has(text) || this.#refused.has(text);
    const foreseen = fault.startsWith("came behind") && (late || this.dropped() > 0);
    if (!foreseen) this.wrong(`${short(text)} to ${clientId}: it ${fault}`);
    return text;
  }

  // ── in the end ──

  /** Deliveries that are still owed, beyond those that were dropped and counted. */
  owed(): readonly string[] {
    const alone = [...this.ledgers.values()].flatMap((ledger) =>
      [...ledger.owed.keys()].map((text) => `${short(text)} to ${ledger.clientId}`),
    );
    const owed = [...alone, ...this.groups.owed().map(([text, filter]) => `${short(text)} to ${filter}`)];
    return owed.length > this.dropped() ? owed : [];
  }

  /** What must be retained now, by topic. */
  retained(): ReadonlyMap<string, string> {
    const last = new Map<string, string>();
    for (const offset of [...this.log.keys()].sort((a, b) => a - b)) {
      const { retain, topic, text } = this.sent.get(this.log.get(offset)!)!;
      if (!retain) continue;
      if (text === clearing(topic)) last.delete(topic);
      else last.set(topic, text);
    }
    return last;
  }
}

const utf8 = new TextDecoder();

/** What names a message: its payload; those without one, which clear what is retained, are all alike. */
export function textOf(payload: Uint8Array, topic: string): string {
  return payload.length === 0 ? clearing(topic) : utf8.decode(payload);
}

export function clearing(topic: string): string {
  return `clear ${topic}`;
}

/** Texts are a name and dots that make them long. */
export function short(text: string): string {
  const end = text.indexOf(".");
  return end < 0 ? text.slice(0, 40) : text.slice(0, Math.min(end, 40));
}
