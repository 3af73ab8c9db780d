/** MQTT from the client's side: for the command line. The agent's way is `queue/` with `net/uplink-socket.ts`. */
export { brokerAddress } from "./broker-address.ts";
export type { BrokerAddress, BrokerCredentials } from "./broker-address.ts";
export { MqttFailure, describeEnd, isLasting, reasonName } from "./endings.ts";
export type { ConnectionEnd } from "./endings.ts";
export { MqttConnection } from "./mqtt-connection.ts";
export type { MqttConnectionOptions, Outgoing, Received } from "./mqtt-connection.ts";
