/**
 * Things that are forgotten. The log is append-only, so until its retention has removed what it holds of such a thing, whoever
 * reads it leaves those records out: a store that is rebuilt from the log does not bring them back.
 */
import type { EpochMs } from "./units.ts";

export interface ForgottenThing {
  readonly thing: string;
  /** Log offset: its records below are forgotten, what came later is kept. */
  readonly below: number;
}

/** Where a message came from, and whom it speaks of. */
export interface MessageSource {
  readonly topic: string;
  readonly clientId: string;
  /** Of the publisher; null where it has none. */
  readonly thing: string | null;
}

/** A forgotten thing's messages in files that may be of another log than `below` counts in. */
export interface ForgottenMessages {
  readonly thing: string;
  /** Null: offsets of this log say nothing; `until` decides. */
  readonly below: number | null;
  /** Messages that were accepted up to then. */
  readonly until: EpochMs;
}

/** Topics under which a thing is spoken of, before its name: those of the default policy, and what the platform tells of its connections. */
export const THING_TOPICS: readonly string[] = [
  "telemetry/",
  "commands/",
  "responses/",
  "$aws/things/",
  "$aws/events/presence/connected/",
  "$aws/events/presence/disconnected/",
  "$aws/events/subscriptions/subscribed/",
  "$aws/events/subscriptions/unsubscribed/",
];

/** The thing that the topic names; null where it names none. */
export function thingOfTopic(topic: string): string | null {
  const root = THING_TOPICS.find((prefix) => topic.startsWith(prefix));
  if (root === undefined) return null;
  const end = topic.indexOf("/", root.length);
  return end < 0 ? topic.slice(root.length) : topic.slice(root.length, end);
}

export class ForgottenThings {
  /** Bounded by the book that they come from (`limits.forget.thingsMax`). */
  readonly #below = new Map<string, number>();
  #end = 0;

  constructor(things: readonly ForgottenThing[] = []) {
    this.set(things);
  }

  /** No record from here on is left out; 0 where nothing is forgotten. */
  get end(): number {
    return this.#end;
  }

  set(things: readonly ForgottenThing[]): void {
    this.#below.clear();
    this.#end = 0;
    for (const { thing, below } of things) {
      this.#below.set(thing, Math.max(below, this.#below.get(thing) ?? 0));
      this.#end = Math.max(this.#end, below);
    }
  }

  /** Whether what the thing said at this offset is forgotten. */
  covers(thing: string, offset: number): boolean {
    return offset < (this.#below.get(thing) ?? 0);
  }

  /** Whether the message is one that a forgotten thing published, or that speaks of it. */
  skips(offset: number, { topic, clientId, thing }: MessageSource): boolean {
    if (offset >= this.#end) return false;
    if (this.covers(thing ?? clientId, offset)) return true;
    const named = thingOfTopic(topic);
    return named !== null && this.covers(named, offset);
  }
}
