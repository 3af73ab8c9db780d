/**
 * Received PUBLISHes on their way to many connections: encoded once per form that they need, one behind the other in blocks of
 * memory. Who has nothing else to send sends such a stretch as it lies there; for all others it is copied.
 */
import type { QoS } from "../base/mod.ts";
import { BufferPool, PacketWriter } from "../wire/mqtt/mod.ts";
import type { ProtocolVersion, PublishView } from "../wire/mqtt/mod.ts";

/** From so many subscribers on a message is encoded ahead and then shared by them, or copied to each: one copy more, and cheaper ones. */
export const MANY = 4;

const NOTHING = new Uint8Array(0);
const BLOCK_BYTES = 64 * 1024;
/** What a packet may be longer than the one that it was made of: its length, and that of its properties. */
const HEAD_BYTES = 8;

/** The latest messages in one form: `block[start, end)`, which is never written to again. */
export class EncodedPublish {
  block: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  /** From `start` on, where its packet identifier stands; 0 where QoS is 0. */
  packetIdAt = 0;
  /** The message that it was made of, by number. */
  message = 0;
  #bytes: Uint8Array | null = null;
  readonly #writer: PacketWriter;
  readonly #fields: { readonly qos: QoS; readonly retain: boolean; readonly packetId: number };

  constructor(version: ProtocolVersion, qos: QoS, retain: boolean) {
    // None is kept: connections may still be sending a block that is full.
    this.#writer = new PacketWriter(version, { pool: new BufferPool({ bufferBytes: BLOCK_BYTES, keepMax: 0 }) });
    this.#fields = { qos, retain, packetId: 1 };
  }

  /** The same, to be copied. */
  get bytes(): Uint8Array {
    return (this.#bytes ??= this.block.subarray(this.start, this.end));
  }

  encode(view: PublishView, message: number): void {
    if (!this.hasRoom(view)) this.#writer.takeBlock();
    this.start = this.end = this.#writer.length;
    this.message = message;
    this.add(view);
    if (this.#fields.qos === 0) return;
    let at = this.start + 1;
    while (this.block[at++]! >= 0x80);
    this.packetIdAt = at - this.start + 2 + view.topicEnd - view.topicStart;
  }

  /** Whether the message would stand in the same block. */
  hasRoom(view: PublishView): boolean {
    return this.#writer.length + view.end - view.start + HEAD_BYTES <= BLOCK_BYTES;
  }

  /** One more message, behind those that are there. */
  add(view: PublishView): void {
    this.#writer.forward(view, this.#fields);
    this.end = this.#writer.length;
    this.block = this.#writer.openBlock;
    this.#bytes = null;
  }

  /** What is there has been handed out; what is added from now on is told by itself. */
  next(): void {
    this.start = this.end;
    this.#bytes = null;
  }
}

export class PublishForms {
  #view: PublishView | null = null;
  #message = 0;
  /** By version, QoS and RETAIN. */
  readonly #forms: readonly EncodedPublish[] = ([4, 5] as const).flatMap((version) =>
    ([0, 1, 2] as const).flatMap((qos) => [false, true].map((retain) => new EncodedPublish(version, qos, retain))),
  );

  /** The packet that the next calls of `get` are about; its topic is not empty. */
  begin(view: PublishView): void {
    this.#view = view;
    this.#message++;
  }

  /** HOT. */
  get(version: ProtocolVersion, qos: QoS, retain: boolean): EncodedPublish {
    const form = this.#find(version, qos, retain);
    if (form.message !== this.#message) form.encode(this.#view!, this.#message);
    return form;
  }

  /** Of the present packet, where somebody has asked for it. */
  asked(version: ProtocolVersion, qos: QoS, retain: boolean): EncodedPublish | null {
    const form = this.#find(version, qos, retain);
    return form.message === this.#message ? form : null;
  }

  #find(version: ProtocolVersion, qos: QoS, retain: boolean): EncodedPublish {
    return this.#forms[(version - 4) * 6 + qos * 2 + (retain ? 1 : 0)]!;
  }
}
