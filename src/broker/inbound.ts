/** Which function serves which packet of a client. */
import { REASON } from "../wire/mqtt/mod.ts";
import type {
  AcknowledgeKind,
  AuthPacket,
  ConnectPacket,
  DisconnectPacket,
  PacketHandler,
  PublishView,
  SubscribePacket,
  UnsubscribePacket,
} from "../wire/mqtt/mod.ts";
import { acceptAuth } from "./authentication.ts";
import { acceptConnect } from "./connect.ts";
import type { Connection } from "./connection.ts";
import { acceptPubcomp, acceptPubrec } from "./deliver-once.ts";
import { pump } from "./pump.ts";
import { detach } from "./lifecycle.ts";
import { acceptPublish } from "./publish.ts";
import { acceptPubrel } from "./receive-once.ts";
import { acceptSubscribe, acceptUnsubscribe } from "./subscribe.ts";

/** What a message costs beside its deliveries, in deliveries. */
const MESSAGE_WORK = 2;

export class Inbound implements PacketHandler {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  connect(packet: ConnectPacket): void {
    this.#control();
    this.#connection.core.meters.connects.value++;
    acceptConnect(this.#connection, packet);
  }

  publish(view: PublishView): void {
    acceptPublish(this.#connection, view);
    this.#connection.intake.spend(MESSAGE_WORK);
  }

  acknowledge(kind: AcknowledgeKind, packetId: number, reasonCode: number): void {
    this.#control();
    const connection = this.#connection;
    if (kind !== "puback") {
      connection.intake.spend(1);
      acknowledgeExchange(connection, kind, packetId, reasonCode);
      return;
    }
    const session = connection.session!;
    // Whatever its reason code says: a refused message is not sent again either [MQTT-4.4.0-2], nor to others [MQTT-4.8.2-6].
    if (!session.outbox.acknowledge(packetId)) return; // late or repeated: there is nothing left to do
    if (session.owes) pump(connection.core, session);
  }

  subscribe(packet: SubscribePacket): void {
    this.#control();
    acceptSubscribe(this.#connection, packet);
  }

  unsubscribe(packet: UnsubscribePacket): void {
    this.#control();
    acceptUnsubscribe(this.#connection, packet);
  }

  pingreq(): void {
    this.#control();
    this.#connection.core.meters.controlSent.value++;
    this.#connection.out().pingresp(); // [MQTT-3.12.4-1]
    this.#connection.intake.spend(1);
  }

  disconnect(packet: DisconnectPacket): void {
    this.#control();
    const connection = this.#connection;
    const { session } = connection;
    if (session === null) {
      connection.end(); // it does not want to finish its authentication
      return;
    }
    const expiry = packet.sessionExpirySeconds;
    if (expiry !== null && expiry > 0 && session.expirySeconds === 0) {
      // Section 3.14.2.2.2.
      const detail = "DISCONNECT prolongs a session that ends with its connection";
      connection.refuse("protocol-error", REASON.protocolError, "CLIENT_ERROR", detail);
      return;
    }
    if (expiry !== null) session.expirySeconds = Math.min(expiry, connection.core.limits.sessionExpirySecondsMax);
    const withWill = packet.reasonCode !== REASON.normalDisconnection; // [MQTT-3.14.4-3]
    detach(connection, "CLIENT_INITIATED_DISCONNECT", withWill);
    connection.end();
  }

  auth(packet: AuthPacket): void {
    this.#control();
    acceptAuth(this.#connection, packet);
  }

  /** A packet that is no message; it may change who gets which. */
  #control(): void {
    const { core } = this.#connection;
    core.meters.controlReceived.value++;
    core.fanOut.settle();
  }

  // Packets that only a server sends never get here: a reader in the role of a server refuses them.
  connack(): void {}
  suback(): void {}
  unsuback(): void {}
  pingresp(): void {}
}

function acknowledgeExchange(
  connection: Connection,
  kind: Exclude<AcknowledgeKind, "puback">,
  packetId: number,
  reasonCode: number,
): void {
  if (kind === "pubrel") {
    acceptPubrel(connection, packetId);
    return;
  }
  const room = kind === "pubrec" ? acceptPubrec(connection, packetId, reasonCode) : acceptPubcomp(connection, packetId);
  const session = connection.session!;
  if (room && session.owes) pump(connection.core, session);
}
