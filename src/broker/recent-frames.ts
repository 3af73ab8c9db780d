/**
 * The last few megabytes of packets that some session could not take at once, so that a subscriber that is a moment
 * behind is served from memory and not from the log. One ring of bytes; what it forgets is read back from the journal.
 */
import { copyWords, wordsOf } from "../base/mod.ts";
import type { EpochMs, QoS } from "../base/mod.ts";
import type { ProtocolVersion, PublishView } from "../wire/mqtt/mod.ts";
import type { FrameView } from "./frame.ts";

/** 32-bit words ahead of each packet: version, first byte, the seven offsets of a view, one spare; then the time. */
const WORDS = 10;
const HEAD_BYTES = WORDS * 4 + 8;
/** Nowhere: the packet was not kept. */
export const NOWHERE = -1;

export class RecentFrames {
  readonly #capacity: number;
  #bytes: Uint8Array | null = null;
  /** The same memory. */
  #packets: DataView | null = null;
  #words = new Int32Array(0);
  #times = new Float64Array(0);
  /** Grows for ever; the place of a packet is its value when it was written. */
  #end = 0;
  #now: EpochMs = 0;

  /** `capacity` in bytes, a multiple of 8. Nothing is allocated before the first packet. */
  constructor(capacity: number) {
    this.#capacity = capacity - (capacity % 8);
  }

  /** Copies the packet; returns its place, or `NOWHERE` where it is larger than a quarter of the memory. */
  put(view: PublishView, receivedAt: EpochMs): number {
    const length = view.end - view.start;
    const total = (HEAD_BYTES + length + 7) & ~7;
    if (total > this.#capacity / 4) return NOWHERE;
    if (this.#bytes === null) this.#allocate();
    let at = this.#end % this.#capacity;
    if (at + total > this.#capacity) {
      this.#end += this.#capacity - at;
      at = 0;
    }
    const place = this.#end;
    this.#end += total;
    const word = at >> 2;
    const words = this.#words;
    words[word] = view.version;
    words[word + 1] = (view.qos << 1) | (view.retain ? 1 : 0);
    words[word + 2] = length;
    words[word + 3] = view.topicStart - view.start;
    words[word + 4] = view.topicEnd - view.start;
    words[word + 5] = view.propertiesStart - view.start;
    words[word + 6] = view.propertiesEnd - view.start;
    words[word + 7] = view.payloadStart - view.start;
    words[word + 8] = view.topicAlias;
    words[word + 9] = view.packetId;
    this.#times[(at + WORDS * 4) >> 3] = receivedAt;
    copyWords(this.#packets!, at + HEAD_BYTES, view.words, view.start, view.end);
    return place;
  }

  /** Fills `into` with the packet at `place`; false where it was overwritten. The view lives until the next `put`. */
  get(place: number, into: FrameView): boolean {
    if (place < 0 || place < this.#end - this.#capacity) return false;
    const at = place % this.#capacity;
    const word = at >> 2;
    const words = this.#words;
    const start = at + HEAD_BYTES;
    into.lookAt(this.#bytes!, this.#packets!);
    into.version = words[word]! as ProtocolVersion;
    into.qos = (words[word + 1]! >> 1) as QoS;
    into.retain = (words[word + 1]! & 1) !== 0;
    into.dup = false;
    into.start = start;
    into.end = start + words[word + 2]!;
    into.topicStart = start + words[word + 3]!;
    into.topicEnd = start + words[word + 4]!;
    into.propertiesStart = start + words[word + 5]!;
    into.propertiesEnd = start + words[word + 6]!;
    into.payloadStart = start + words[word + 7]!;
    into.payloadEnd = into.end;
    into.topicAlias = words[word + 8]!;
    into.packetId = words[word + 9]!;
    this.#now = this.#times[(at + WORDS * 4) >> 3]!;
    return true;
  }

  /** When the packet of the last successful `get` was received. */
  get receivedAt(): EpochMs {
    return this.#now;
  }

  #allocate(): void {
    const memory = new ArrayBuffer(this.#capacity);
    this.#bytes = new Uint8Array(memory);
    this.#packets = wordsOf(this.#bytes);
    this.#words = new Int32Array(memory);
    this.#times = new Float64Array(memory);
  }
}
