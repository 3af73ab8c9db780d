export { connectPacket } from "./connect-packet.ts";
export { PacketError } from "./fault.ts";
export { BufferPool } from "./output.ts";
export { FilledView, propertiesOf, subscriptionIdentifiersOf, topicOf } from "./publish-view.ts";
export { PacketReader } from "./reader.ts";
export { REASON } from "./reason.ts";
export { PacketWriter } from "./writer.ts";
export type { ForwardFields, PublishFields } from "./writer.ts";
export type { DisconnectFields } from "./encode.ts";
export type {
  AcknowledgeKind,
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  PacketHandler,
  ProtocolVersion,
  PublishView,
  ReaderLimits,
  ReaderOptions,
  Role,
  SubackPacket,
  SubscribePacket,
  SubscribeRequest,
  UnsubscribePacket,
  Will,
} from "./types.ts";
