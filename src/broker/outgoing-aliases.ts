/**
 * Topic aliases that we give to one client (MQTT 5.0 section 3.3.2.3.4): a small table with one place per hash of the
 * topic. A topic earns the place by coming again while it is there, so that those that come once cost two numbers and
 * leave the others alone. Bounded by the client's Topic Alias Maximum and by ours.
 */
import type { PublishView } from "../wire/mqtt/mod.ts";
import { copyOf } from "./frame.ts";

/** An alias takes three bytes: shorter topics gain nothing worth a place. */
const TOPIC_BYTES_MIN = 6;
/** How often others may come to a place before it changes hands, at most: a topic that has fallen silent must not stay. */
const CREDIT_MAX = 8;

export class OutgoingAliases {
  readonly #hashes: Int32Array;
  readonly #credits: Uint8Array;
  /** The topic that the client knows by this place's alias; null where the topic came once so far. */
  readonly #topics: (Uint8Array | null)[];
  /** Of the last negative `find`. */
  #place = 0;

  /** `maximum`: the highest alias that may be sent [MQTT-3.3.2-11], [MQTT-3.1.2-26]. */
  constructor(maximum: number) {
    this.#hashes = new Int32Array(maximum);
    this.#credits = new Uint8Array(maximum);
    this.#topics = Array.from({ length: maximum }, () => null);
  }

  /**
   * HOT for clients that take aliases: the packet's alias, never 0 [MQTT-3.3.2-8]; negative where the client does not know
   * it yet, and is to be told the topic with it (then `told`); 0 where the topic is sent as it is.
   */
  find(view: PublishView): number {
    const { buffer, topicStart, topicEnd } = view;
    if (topicEnd - topicStart < TOPIC_BYTES_MIN) return 0;
    let hash = 0;
    for (let i = topicStart; i < topicEnd; i++) hash = Math.imul(hash ^ buffer[i]!, 0x01000193);
    hash ^= hash >>> 15;
    const place = (hash >>> 0) % this.#hashes.length;
    if (this.#hashes[place] !== hash || this.#credits[place] === 0) {
      this.#comes(place, hash);
      return 0;
    }
    const known = this.#topics[place]!;
    if (known !== null && !isSame(known, view)) return 0;
    if (this.#credits[place]! < CREDIT_MAX) this.#credits[place]!++;
    if (known !== null) return place + 1;
    this.#place = place;
    return -(place + 1);
  }

  /** The packet for which `find` was negative is written: from now on the client knows the alias. */
  told(view: PublishView): void {
    this.#topics[this.#place] = copyOf(view.buffer, view.topicStart, view.topicEnd);
  }

  /** Another topic than the one that has the place. */
  #comes(place: number, hash: number): void {
    if (this.#credits[place]! > 1) {
      this.#credits[place]!--;
      return;
    }
    this.#hashes[place] = hash;
    this.#credits[place] = 2;
    this.#topics[place] = null;
  }
}

function isSame(topic: Uint8Array, { buffer, topicStart, topicEnd }: PublishView): boolean {
  if (topic.length !== topicEnd - topicStart) return false;
  for (let i = 0; i < topic.length; i++) if (topic[i] !== buffer[topicStart + i]) return false;
  return true;
}
