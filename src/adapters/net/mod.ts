/** Network listeners. */
export { ConnectionCounts, listenMqtt } from "./listen-mqtt.ts";
export type {
  MqttListener,
  MqttListenerOptions,
  Newcomer,
  PeerVerdict,
  ProxyOptions,
  Refused,
  Visitor,
} from "./listen-mqtt.ts";
export { MqttWebSockets, listenMqttWebSocket } from "./mqtt-web-sockets.ts";
export type { MqttWebSocketOptions } from "./mqtt-web-sockets.ts";
export type { ListenerRefusal, ShownCertificate } from "./listener-refusals.ts";
export type { TlsMaterial } from "./tls-door.ts";
export { listenAddress } from "./listen-address.ts";
