/** What a handler asks about a received PUBLISH: its topic and its properties, decoded when wanted. */
import { decodeUtf8, topicNameFault, wordsOf } from "../../base/mod.ts";
import type { MessageProperties, QoS, TopicLimits } from "../../base/mod.ts";
import { checkText } from "./cursor.ts";
import { PacketError, protocolError, topicRefused } from "./fault.ts";
import { PropertyBag } from "./properties.ts";
import { REASON } from "./reason.ts";
import type { ProtocolVersion, PublishView } from "./types.ts";

const NOTHING = new Uint8Array(0);
const NO_WORDS = wordsOf(NOTHING);

/**
 * A view that is filled in by whoever has the bytes: a reader, again and again, or the keeper of a packet. Numbers are small
 * integers, so filling it allocates nothing; it is one class for all, so that what reads views meets one shape.
 */
export class FilledView implements PublishView {
  buffer: Uint8Array = NOTHING;
  words: DataView = NO_WORDS;
  start = 0;
  end = 0;
  version: ProtocolVersion = 5;
  dup = false;
  qos: QoS = 0;
  retain = false;
  packetId = 0;
  topicStart = 0;
  topicEnd = 0;
  propertiesStart = 0;
  propertiesEnd = 0;
  topicAlias = 0;
  payloadStart = 0;
  payloadEnd = 0;

  /** From now on it is about a packet in these bytes. */
  lookAt(buffer: Uint8Array, words: DataView = wordsOf(buffer)): void {
    this.buffer = buffer;
    this.words = words;
  }
}

/**
 * The topic of a PUBLISH, checked. Throws `PacketError`: malformed where the bytes are no text, protocol error where they are
 * empty (the caller resolves a topic alias first), Topic Name Invalid for wildcards [MQTT-3.3.2-2] and our own limits.
 */
export function topicOf(view: PublishView, limits: TopicLimits): string {
  const { buffer, topicStart, topicEnd } = view;
  if (topicStart === topicEnd) throw protocolError("the topic is empty"); // [MQTT-4.7.3-1]
  if (topicEnd - topicStart > limits.topicBytesMax) {
    const detail = `the topic is longer than ${limits.topicBytesMax} bytes`;
    throw new PacketError(REASON.topicNameInvalid, detail, "topicBytesMax");
  }
  checkText(buffer, topicStart, topicEnd, "the topic"); // [MQTT-3.3.2-1]
  const topic = decodeUtf8(buffer, topicStart, topicEnd); // as it is, without normalization [MQTT-4.7.3-4]
  const fault = topicNameFault(topic, limits);
  if (fault !== null) throw topicRefused("the topic", fault);
  return topic;
}

/** The properties that travel with the message; `null` where there are none. Copies what it returns. */
export function propertiesOf(view: PublishView): MessageProperties | null {
  if (view.propertiesStart === view.propertiesEnd) return null;
  return new PropertyBag(view.buffer, view.propertiesStart, view.propertiesEnd).message();
}

/** Identifiers of the subscriptions that a server says a message is for (section 3.3.2.3.8); empty on the server's side. */
export function subscriptionIdentifiersOf(view: PublishView): readonly number[] {
  if (view.propertiesStart === view.propertiesEnd) return [];
  return new PropertyBag(view.buffer, view.propertiesStart, view.propertiesEnd).subscriptionIdentifiers;
}
