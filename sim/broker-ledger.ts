/** What one client's session has asked for, is owed, and has been given: kept outside the broker, by what its client knows. */
import { topicMatches } from "../src/base/mod.ts";
import type { QoS } from "../src/base/mod.ts";
import type { SubscribeRequest } from "../src/wire/mqtt/mod.ts";

/** A message as its publisher made it. Its text, the payload, is unique and names it. */
export interface SentMessage {
  readonly text: string;
  readonly topic: string;
  readonly publisher: string;
  /** Ascends with each message of a publisher; 0: it is like others, and has no place among them. */
  readonly number: number;
  readonly qos: QoS;
  readonly retain: boolean;
  /** It may be dropped when its time is over. */
  readonly expires: boolean;
}

/** A subscription from the moment in which it was asked for. Times are the witness's ticks. */
export interface Interval {
  readonly filter: string;
  readonly request: SubscribeRequest;
  readonly identifier: number;
  readonly from: number;
  /** Highest offset of each topic's retained messages that was acknowledged by `from`. */
  readonly retainedBefore: ReadonlyMap<string, number>;
  /** Granted and told so. */
  granted: QoS | null;
  /** Its end, or its change, was asked for: nothing new is owed. */
  ending: boolean;
  /** Its end was confirmed; `Infinity` until then. */
  until: number;
}

export interface Delivery {
  readonly message: SentMessage;
  /** Where the log has it, or had it; empty where it never was. */
  readonly appended: readonly { readonly offset: number; readonly tick: number }[];
  readonly qos: QoS;
  readonly retain: boolean;
  readonly identifiers: readonly number[];
}

export class SessionLedger {
  readonly clientId: string;
  /** Its client may count on it. */
  kept: boolean;
  readonly intervals: Interval[] = [];
  /** Texts that have to arrive, with the offsets for which they are owed. */
  readonly owed = new Map<string, readonly number[]>();
  /** Texts that were owed when the log took them for the first time. */
  readonly #owedAtFirst = new Set<string>();
  /** How often each text came as a live message, at each quality of service. */
  readonly #got = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()] as const;
  /** Highest number so far of each publisher, topic and quality of service, published and delivered [MQTT-4.6.0-6]. */
  readonly #highest = new Map<string, number>();

  /** Told of each filter that it no longer counts on; `forGood`: because it gives up the session. */
  onLeave: (filter: string, forGood: boolean) => void = () => {};

  constructor(clientId: string, kept: boolean) {
    this.clientId = clientId;
    this.kept = kept;
  }

  subscribe(
    request: SubscribeRequest,
    identifier: number,
    from: number,
    retained: ReadonlyMap<string, number>,
  ): Interval {
    for (const other of this.intervals) {
      if (other.filter !== request.filter || other.ending) continue;
      other.ending = true;
    }
    const retainedBefore = new Map(retained);
    const { filter } = request;
    const asked: Interval = {
      filter,
      request,
      identifier,
      from,
      retainedBefore,
      granted: null,
      ending: false,
      until: Infinity,
    };
    this.intervals.push(asked);
    return asked;
  }

  granted(asked: Interval, qos: QoS, now: number): void {
    asked.granted = qos;
    for (const other of this.intervals)
      if (other !== asked && other.filter === asked.filter && other.from < asked.from)
        other.until = Math.min(other.until, now);
  }

  /** UNSUBSCRIBE was sent. */
  unsubscribing(filter: string): void {
    for (const interval of this.intervals) if (interval.filter === filter) interval.ending = true;
    this.onLeave(filter, false);
  }

  unsubscribed(filter: string, now: number): void {
    for (const interval of this.intervals)
      if (interval.filter === filter && interval.ending) interval.until = Math.min(interval.until, now);
  }

  /** The client gives the session up: it may go on for a while, and owes nothing any more. */
  abandon(): void {
    this.kept = false;
    this.owed.clear();
    for (const interval of this.intervals) {
      interval.ending = true;
      this.onLeave(interval.filter, true);
    }
  }

  /** The log has taken the message; `first`: never before. */
  appended(message: SentMessage, offset: number, first: boolean): void {
    if (!this.kept || message.qos === 0 || message.expires) return;
    for (const { granted, ending, filter, request } of this.intervals) {
      if (granted === null || granted === 0 || ending || !topicMatches(filter, message.topic)) continue;
      if (request.noLocal && message.publisher === this.clientId) continue;
      this.owed.set(message.text, [...(this.owed.get(message.text) ?? []), offset]);
      if (first) this.#owedAtFirst.add(message.text);
      return;
    }
  }

  /** The log has lost it: nobody was told that it was safe. */
  lost(text: string, offset: number): void {
    const rest = this.owed.get(text)?.filter((other) => other !== offset);
    if (rest?.length === 0) this.owed.delete(text);
    else if (rest !== undefined) this.owed.set(text, rest);
  }

  /** What is wrong with a delivery; null where nothing is. */
  deliver(delivery: Delivery): string | null {
    const { message, appended } = delivery;
    const matching = this.intervals.filter(({ filter }) => topicMatches(filter, message.topic));
    if (matching.length === 0) return "was delivered to a client that has no such subscription";
    const here = matching.filter(({ from, until }) => appended.some(({ tick }) => tick >= from && tick <= until));
    // One that no longer says No Local may, after a crash, bring what was published while it did.
    const mine = message.publisher === this.clientId;
    const live = mine && matching.every(({ request }) => request.noLocal) ? [] : here;
    this.owed.delete(message.text);
    const fault = faultOfOptions(delivery, matching);
    if (fault !== null) return fault;
    if (live.length === 0) return faultOfRetained(delivery, matching);
    // With RETAIN set it may be live or answer another subscription: it says neither how often nor in which order.
    if (delivery.retain) return null;
    return this.#live(delivery, mine && matching.some(({ request }) => request.noLocal));
  }

  has(text: string): boolean {
    return this.#got.some((got) => got.has(text));
  }

  #live({ message, qos, appended }: Delivery, optional: boolean): string | null {
    const { text, publisher, topic, number } = message;
    const again = this.has(text);
    const times = (this.#got[qos].get(text) ?? 0) + 1;
    this.#got[qos].set(text, times);
    if (qos === 2 && times > 1) return "was delivered twice at QoS 2";
    if (qos === 0 && times > appended.length) return "was delivered more often than it was accepted, at QoS 0";
    // Sent again by its publisher, it may come late to who missed it at first with good reason.
    const mayComeLate = appended.length > 1 && (qos === 0 || !this.#owedAtFirst.has(text));
    // Nor does one that may be dropped at any time: a crash forgets that it was, and it comes after all.
    if (again || optional || number === 0 || mayComeLate || message.expires) return null;
    const stream = `${publisher} ${topic} ${message.qos} ${qos}`;
    const highest = this.#highest.get(stream) ?? 0;
    this.#highest.set(stream, Math.max(highest, number));
    return number < highest ? `came behind number ${highest} of its publisher and topic` : null;
  }
}

function faultOfOptions({ message, qos, identifiers }: Delivery, matching: readonly Interval[]): string | null {
  const most = Math.max(...matching.map(({ request }) => request.qos));
  if (qos > Math.min(most, message.qos)) return `was delivered at QoS ${qos}, and neither published nor wanted so`;
  const foreign = identifiers.find((identifier) => !matching.some((interval) => interval.identifier === identifier));
  return foreign === undefined ? null : `carries ${foreign}, which identifies no subscription that it is for`;
}

/** It is older than every subscription that it matches: only a retained message may be. */
function faultOfRetained({ message, retain, appended }: Delivery, matching: readonly Interval[]): string | null {
  const { topic } = message;
  const open = matching.filter(({ request }) => request.retainHandling !== 2);
  if (!message.retain || !retain || open.length === 0)
    return "was delivered to a client that had not subscribed yet, or no more";
  const last = Math.max(...appended.map(({ offset }) => offset));
  if (open.every(({ retainedBefore }) => (retainedBefore.get(topic) ?? -1) > last))
    return `is not what was retained last: offset ${last}`;
  return null;
}
