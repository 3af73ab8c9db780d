/**
 * Messages from inside the platform that differ in nothing but payload and time, as those of a rule: their topic and properties are
 * encoded once, and each goes the way of a received packet, without an object of its own.
 */
import { copyBytes, wordsOf } from "../base/mod.ts";
import type { EpochMs, Message } from "../base/mod.ts";
import { encodePublisher } from "../wire/record/mod.ts";
import type { Core } from "./core.ts";
import { deliver, deliverLocally } from "./delivery.ts";
import { FrameView, frameOf } from "./frame.ts";
import type { Publisher } from "./ports.ts";
import { publishMessage } from "./publish.ts";

/** What all messages of an outlet have in common. */
export type OutletTemplate = Omit<Message, "payload" | "receivedAt">;

export interface Outlet {
  /** Returns its offset; throws what the journal throws. The payload must stay as it is: services may keep it. */
  publish(payload: Uint8Array, receivedAt: EpochMs): number;
}

/** First byte, and the longest "remaining length". */
const FIXED_BYTES_MAX = 5;
/** Longer packets are put together by themselves. */
const FRAME_BYTES_MAX = 64 * 1024;
const NOTHING = new Uint8Array(0);

/** The packet that is being published. Nobody keeps it; a packet that comes while it is there is put together by itself. */
const frame = { bytes: NOTHING, words: wordsOf(NOTHING), view: new FrameView(), isTaken: false };

export class FrameOutlet implements Outlet {
  readonly #core: Core;
  readonly #template: OutletTemplate;
  /** One object for all messages: the journal encodes it once. */
  readonly #publisher: Publisher;
  /** A packet without a payload. */
  readonly #empty: FrameView;
  /** From the topic's length to the end of the properties. */
  readonly #head: Uint8Array;

  constructor(core: Core, template: OutletTemplate) {
    this.#core = core;
    this.#template = template;
    const { clientId, thing } = template;
    this.#publisher = { clientId, thing, encoded: encodePublisher(template), isInside: true };
    this.#empty = frameOf({ ...template, payload: NOTHING });
    this.#head = this.#empty.buffer.slice(this.#empty.topicStart - 2);
  }

  publish(payload: Uint8Array, receivedAt: EpochMs): number {
    const core = this.#core;
    const route = core.routes.of(this.#empty);
    const bytes = this.#head.length + payload.length;
    if (frame.isTaken || route.isExamined || this.#template.retain || bytes + FIXED_BYTES_MAX > FRAME_BYTES_MAX)
      return publishMessage(core, { ...this.#template, payload, receivedAt });
    frame.isTaken = true;
    try {
      const view = this.#fill(payload);
      const offset = core.journal.append(route.topic, view, this.#publisher, receivedAt, false);
      core.lastOffset = offset;
      core.backlog.add(view.end);
      deliver(core, route, view, offset, receivedAt, core.sessions.get(this.#publisher.clientId) ?? null);
      if (route.locals.length > 0) deliverLocally(core, { ...this.#template, payload, receivedAt }, route);
      core.planTurnEnd();
      return offset;
    } finally {
      frame.isTaken = false;
    }
  }

  #fill(payload: Uint8Array): FrameView {
    const [head, empty, { view }] = [this.#head, this.#empty, frame];
    const remaining = head.length + payload.length;
    if (frame.bytes.length < remaining + FIXED_BYTES_MAX) {
      frame.bytes = new Uint8Array(FRAME_BYTES_MAX);
      frame.words = wordsOf(frame.bytes);
    }
    const bytes = frame.bytes;
    bytes[0] = empty.buffer[0]!;
    let at = 1;
    for (let left = remaining; ; left >>>= 7) {
      bytes[at++] = left < 0x80 ? left : (left & 0x7f) | 0x80;
      if (left < 0x80) break;
    }
    const moved = at + 2 - empty.topicStart;
    at = copyBytes(bytes, at, head, 0, head.length);
    at = copyBytes(bytes, at, payload, 0, payload.length);
    view.lookAt(bytes, frame.words);
    view.end = at;
    view.qos = empty.qos;
    view.retain = empty.retain;
    view.packetId = empty.packetId;
    view.topicStart = empty.topicStart + moved;
    view.topicEnd = empty.topicEnd + moved;
    view.propertiesStart = empty.propertiesStart + moved;
    view.propertiesEnd = empty.propertiesEnd + moved;
    view.payloadStart = view.propertiesEnd;
    view.payloadEnd = at;
    return view;
  }
}
