/** Shared subscriptions, as their members know them: each message to one member, whoever that is. */
import { topicMatches } from "../src/base/mod.ts";
import type { QoS } from "../src/base/mod.ts";
import type { Interval, SentMessage, SessionLedger } from "./broker-ledger.ts";

const SHARED = "$share/";
/** Shared subscriptions by the identifier that comes with their messages; no other subscription has it. */
export const SHARED_FILTERS: ReadonlyMap<number, string> = new Map([
  [98, "$share/g/t/+"],
  [99, "$share/h/#"],
]);

export function isShared(filter: string): boolean {
  return filter.startsWith(SHARED);
}

/** Without share name. */
function filterOf(written: string): string {
  return written.slice(written.indexOf("/", SHARED.length) + 1);
}

function isSteady({ filter, granted, ending }: Interval, wanted: string): boolean {
  return filter === wanted && granted !== null && granted > 0 && !ending;
}

class Group {
  /** Texts that have to reach a member, with the offsets for which they are owed. */
  readonly owed = new Map<string, readonly number[]>();
  /** Of those: a member that may have had them has left, and a crash that comes soon may take them along. */
  readonly unsure = new Set<string>();
  /** How often each text came to any member at QoS 2. */
  readonly once = new Map<string, number>();
}

export class SharedGroups {
  /** By filter as clients write it. */
  readonly #groups = new Map<string, Group>();

  /** The log has taken the message. */
  append(message: SentMessage, offset: number, ledgers: Iterable<SessionLedger>): void {
    if (message.qos === 0 || message.expires) return;
    const steady = new Set<string>();
    const doubtful = new Set<string>();
    for (const ledger of ledgers)
      for (const interval of ledger.intervals) {
        const { filter } = interval;
        if (!isShared(filter) || !topicMatches(filterOf(filter), message.topic)) continue;
        if (!ledger.kept) doubtful.add(filter);
        else if (isSteady(interval, filter)) steady.add(filter);
      }
    for (const filter of steady) {
      // At QoS 2 it goes with the session that it was given to [MQTT-4.8.2-5].
      if (message.qos === 2 && doubtful.has(filter)) continue;
      const { owed } = this.#group(filter);
      owed.set(message.text, [...(owed.get(message.text) ?? []), offset]);
    }
  }

  lost(text: string, offset: number): void {
    for (const { owed } of this.#groups.values()) {
      const rest = owed.get(text)?.filter((other) => other !== offset);
      if (rest?.length === 0) owed.delete(text);
      else if (rest !== undefined) owed.set(text, rest);
    }
  }

  /** What is wrong with a delivery to this member; null where nothing is, undefined where it is none of ours. */
  deliver(
    ledger: SessionLedger,
    { text, topic }: SentMessage,
    { qos, identifiers }: { readonly qos: QoS; readonly identifiers: readonly number[] },
  ): string | null | undefined {
    const filter = SHARED_FILTERS.get(identifiers[0] ?? 0);
    if (filter === undefined) return undefined;
    if (identifiers.length > 1) return "came by a shared subscription and by another one, in one packet";
    if (!ledger.intervals.some((interval) => interval.filter === filter) || !topicMatches(filterOf(filter), topic))
      return "came by a shared subscription that the client does not have";
    const { owed, once } = this.#group(filter);
    owed.delete(text);
    if (qos < 2) return null;
    once.set(text, (once.get(text) ?? 0) + 1);
    return once.get(text) === 1 ? null : "came twice at QoS 2 to one group";
  }

  /** `forGood`: its session ends; others of the group take over what it was given, but for what it has begun at QoS 2. */
  leave(
    filter: string,
    forGood: boolean,
    sent: ReadonlyMap<string, SentMessage>,
    ledgers: Iterable<SessionLedger>,
  ): void {
    if (!isShared(filter)) return;
    const { owed, unsure } = this.#group(filter);
    const others = [...ledgers].some(({ kept, intervals }) => kept && intervals.some((one) => isSteady(one, filter)));
    for (const text of owed.keys()) {
      if (!others || (forGood && sent.get(text)?.qos === 2)) owed.delete(text);
      else if (forGood) unsure.add(text);
    }
  }

  brokerDied(): void {
    for (const { owed, unsure } of this.#groups.values()) {
      for (const text of unsure) owed.delete(text);
      unsure.clear();
    }
  }

  /** What has reached nobody of a group. */
  owed(): readonly (readonly [text: string, filter: string])[] {
    return [...this.#groups].flatMap(([filter, { owed }]) => [...owed.keys()].map((text) => [text, filter] as const));
  }

  #group(filter: string): Group {
    let group = this.#groups.get(filter);
    if (group === undefined) this.#groups.set(filter, (group = new Group()));
    return group;
  }
}
