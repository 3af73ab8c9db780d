/** Network listeners. */
export { listenMqtt } from "./listen-mqtt.ts";
export type { MqttListener, MqttListenerOptions, PeerVerdict, TlsMaterial } from "./listen-mqtt.ts";
export { listenAddress } from "./listen-address.ts";
