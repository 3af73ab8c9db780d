/** One received PUBLISH on its way to many connections: encoded once per form that they need, then copied to each. */
import type { QoS } from "../base/mod.ts";
import { BufferPool, PacketWriter } from "../wire/mqtt/mod.ts";
import type { ProtocolVersion, PublishView } from "../wire/mqtt/mod.ts";

const NOTHING = new Uint8Array(0);
const BUFFER_BYTES = 4096;

/** Valid until the next `begin`; writers copy it. */
export class EncodedPublish {
  bytes: Uint8Array = NOTHING;
  /** Where its packet identifier stands; 0 where QoS is 0. */
  packetIdAt = 0;
  payloadBytes = 0;
  /** The message that it was made of, by number. */
  message = 0;
  readonly #writer: PacketWriter;
  readonly #fields: { readonly qos: QoS; readonly retain: boolean; readonly packetId: number };

  constructor(version: ProtocolVersion, qos: QoS, retain: boolean) {
    this.#writer = new PacketWriter(version, { pool: new BufferPool({ bufferBytes: BUFFER_BYTES, keepMax: 1 }) });
    this.#fields = { qos, retain, packetId: 1 };
  }

  encode(view: PublishView, message: number): void {
    this.#writer.giveBack(this.bytes);
    this.#writer.forward(view, this.#fields);
    this.bytes = this.#writer.take();
    this.payloadBytes = view.payloadEnd - view.payloadStart;
    this.message = message;
    if (this.#fields.qos === 0) return;
    let at = 1;
    while (this.bytes[at++]! >= 0x80);
    this.packetIdAt = at + 2 + view.topicEnd - view.topicStart;
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
    const form = this.#forms[(version - 4) * 6 + qos * 2 + (retain ? 1 : 0)]!;
    if (form.message !== this.#message) form.encode(this.#view!, this.#message);
    return form;
  }
}
