/** What is to be sent, as the upper part of a code; the lower eight bits are the reason code. */
export const ANSWER = { puback: 0, pubrec: 0x100, pubrel: 0x200, pubcomp: 0x300 } as const;

/**
 * Publishes that wait for the disk before they are acknowledged: a ring of (connection, packet identifier, offset), in
 * the order of offsets, released in bulk after each sync. What was released is forgotten, so its packet identifier may
 * come again for another message [MQTT-4.3.2-5]. No object per message.
 */
export class PendingAcknowledgements<Owner> {
  #owners: (Owner | null)[];
  /** Packet identifier + 65,536 × code. */
  #packets: Uint32Array;
  #offsets: Float64Array;
  #mask: number;
  #head = 0;
  #tail = 0;

  constructor(capacity = 1024) {
    this.#owners = Array.from({ length: capacity }, () => null);
    this.#packets = new Uint32Array(capacity);
    this.#offsets = new Float64Array(capacity);
    this.#mask = capacity - 1;
  }

  get size(): number {
    return this.#tail - this.#head;
  }

  /** The offset of what was pushed last; -1 where nothing waits. */
  get newest(): number {
    return this.size === 0 ? -1 : this.#offsets[(this.#tail - 1) & this.#mask]!;
  }

  /**
   * `offset` is never below that of an earlier call: acknowledgements leave in the order of their publishes
   * [MQTT-4.6.0-2], a refusal therefore with the offset of the publish before it. `code`: a reason code of
   * PUBACK, or one of `ANSWER` with a reason code added.
   */
  push(owner: Owner, packetId: number, code: number, offset: number): void {
    if (this.size > this.#mask) this.#grow();
    const at = this.#tail++ & this.#mask;
    this.#owners[at] = owner;
    this.#packets[at] = packetId + code * 65_536;
    this.#offsets[at] = offset;
  }

  /** Hands out everything with an offset below `durable`: we own it only once it is on disk [MQTT-4.3.2-4]. */
  release(durable: number, release: (owner: Owner, packetId: number, code: number) => void): void {
    while (this.#head !== this.#tail) {
      const at = this.#head & this.#mask;
      if (this.#offsets[at]! >= durable) return;
      this.#head++;
      const owner = this.#owners[at]!;
      this.#owners[at] = null;
      release(owner, this.#packets[at]! & 0xffff, this.#packets[at]! >>> 16);
    }
  }

  #grow(): void {
    const size = this.size;
    const capacity = (this.#mask + 1) * 2;
    const grown = new PendingAcknowledgements<Owner>(capacity);
    for (let i = this.#head; i !== this.#tail; i++) {
      const at = i & this.#mask;
      grown.push(this.#owners[at]!, this.#packets[at]! & 0xffff, this.#packets[at]! >>> 16, this.#offsets[at]!);
    }
    this.#owners = grown.#owners;
    this.#packets = grown.#packets;
    this.#offsets = grown.#offsets;
    this.#mask = capacity - 1;
    this.#head = 0;
    this.#tail = size;
  }
}
