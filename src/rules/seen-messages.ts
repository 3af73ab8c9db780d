/**
 * Messages that a rule has seen where it came from, and that are still to come here, or are in the log already. A message is
 * known by its stamp, or by its topic and payload: of several that are the same, by the time at which it was accepted.
 */
import { encodeUtf8, stampOf } from "../base/mod.ts";
import type { EpochMs, Message, Millis } from "../base/mod.ts";

export type SeenMessage = readonly [id: string, acceptedAt: EpochMs];

export interface Expectation {
  /** Accepted later, a message is none of them. */
  readonly until: EpochMs;
  /** How far apart two runtimes may accept the same message. */
  readonly overlap: Millis;
  readonly seen: readonly SeenMessage[];
}

export function messageId({ topic, payload, properties }: Message): string {
  const stamp = stampOf(properties);
  return stamp === null ? contentId(encodeUtf8(topic), payload) : `${stamp.outbox}.${stamp.sequence}`;
}

/** Bounded by `LIMITS.moves.seenMax`; never grows. */
export class SeenMessages {
  readonly #until: EpochMs;
  readonly #overlap: Millis;
  /** Times of acceptance by id. */
  readonly #times = new Map<string, number[]>();

  constructor({ until, overlap, seen }: Expectation) {
    this.#until = until;
    this.#overlap = overlap;
    for (const [id, time] of seen) {
      const times = this.#times.get(id);
      if (times === undefined) this.#times.set(id, [time]);
      else times.push(time);
    }
  }

  /** Whether the rule has seen the message; each is found once. */
  take(message: Message): boolean {
    if (this.#times.size === 0) return false;
    if (message.receivedAt > this.#until) {
      this.#times.clear();
      return false;
    }
    const id = messageId(message);
    const times = this.#times.get(id);
    if (times === undefined) return false;
    const distance = (index: number): number => Math.abs(times[index]! - message.receivedAt);
    let nearest = 0;
    for (let i = 1; i < times.length; i++) if (distance(i) < distance(nearest)) nearest = i;
    if (distance(nearest) > this.#overlap && stampOf(message.properties) === null) return false;
    times.splice(nearest, 1);
    if (times.length === 0) this.#times.delete(id);
    return true;
  }

  /** Those that can still come where what comes is accepted at `from` or later; null where none can. */
  left(from: EpochMs): Expectation | null {
    const seen: SeenMessage[] = [];
    for (const [id, times] of this.#times) {
      for (const time of times) if (time + this.#overlap >= from) seen.push([id, time]);
    }
    return seen.length === 0 ? null : { until: this.#until, overlap: this.#overlap, seen };
  }
}

/**
 * 64 bits over both, by two rounds of MurmurHash3's steps with different seeds. Whoever makes two of his messages collide
 * loses one of them, while a rule moves.
 */
function contentId(topic: Uint8Array, payload: Uint8Array): string {
  const halves = [0x9747b28c, 0x3c6ef372].map((seed) => {
    const hash = murmur(payload, murmur(topic, seed));
    return hash.toString(16).padStart(8, "0");
  });
  return halves.join("");
}

/** MurmurHash3 x86_32 (Appleby, public domain), byte by byte where less than four are left. */
function murmur(bytes: Uint8Array, seed: number): number {
  let hash = seed;
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    hash ^= mixed(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let i = bytes.length - 1; i >= whole; i--) rest = (rest << 8) | bytes[i]!;
  hash ^= mixed(rest) ^ bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mixed(word: number): number {
  const turned = Math.imul(word, 0xcc9e2d51);
  return Math.imul((turned << 15) | (turned >>> 17), 0x1b873593);
}
