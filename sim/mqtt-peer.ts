/** An MQTT 5 client that comes back whenever its connection is lost; what it is there for is in its callbacks. */
import { LIMITS } from "../src/base/mod.ts";
import type { UplinkSocket } from "../src/queue/mod.ts";
import { PacketError, PacketReader, PacketWriter, connectPacket } from "../src/wire/mqtt/mod.ts";
import type { ConnackPacket, ConnectPacket, PacketHandler, PublishView } from "../src/wire/mqtt/mod.ts";
import type { SimNetwork } from "./network.ts";
import { NO_PACKETS } from "./wiretap.ts";

export interface PeerOptions {
  readonly network: SimNetwork;
  /** Of its connections; the client identifier may be somebody else's. */
  readonly name: string;
  readonly connect: () => Partial<ConnectPacket> & { readonly clientId: string };
  readonly onConnack?: (packet: ConnackPacket) => void;
  readonly onPublish?: (view: PublishView) => void;
  readonly onPuback?: (packetId: number, reasonCode: number) => void;
  readonly onSuback?: () => void;
}

const PING_PERIOD = 5_000;
const SILENCE_MAX = 15_000;

export class SimPeer {
  readonly #options: PeerOptions;
  #socket: UplinkSocket | null = null;
  #writer = new PacketWriter(5);
  #connected = false;
  #lastHeard = 0;
  #attempt = 0;
  #leaving = false;

  constructor(options: PeerOptions) {
    this.#options = options;
    const { clock } = options.network;
    const cancel = clock.every(PING_PERIOD, () => {
      if (this.#leaving) cancel();
      if (this.#socket === null) return;
      if (clock.monotonic() - this.#lastHeard > SILENCE_MAX) this.die("told");
      else if (this.#connected) this.send((writer) => writer.pingreq());
    });
    this.#dial();
  }

  /** Nothing is sent where it is not connected. */
  send(write: (writer: PacketWriter) => void): void {
    if (this.#socket === null) return;
    write(this.#writer);
    this.#socket.write(this.#writer.take());
  }

  /** After a while, if it is still the same connection: packet identifiers mean nothing on another one. */
  later(delay: number, task: () => void): void {
    const own = this.#attempt;
    this.#options.network.clock.after(delay, () => {
      if (own === this.#attempt) task();
    });
  }

  /** Its process dies and is started again. */
  die(farewell: "told" | "silent"): void {
    for (const link of this.#options.network.linksOf(this.#options.name)) link.clientDies(farewell);
    this.#again();
  }

  /** Says good-bye for ever. */
  leave(): void {
    this.#leaving = true;
    this.#attempt++;
    this.send((writer) => writer.disconnect({ reasonCode: 0 }));
    this.#socket?.end();
    this.#socket = null;
  }

  #dial(): void {
    if (this.#leaving) return;
    const { network, name, connect } = this.#options;
    const own = ++this.#attempt;
    const current = (task: () => void): void => {
      if (own === this.#attempt) task();
    };
    this.#writer = new PacketWriter(5);
    const reader = new PacketReader(this.#handler(), { role: "client", version: 5, limits: LIMITS.mqtt });
    this.#lastHeard = network.clock.monotonic();
    this.#socket = network.dial(name, {
      opened: () => current(() => this.send((writer) => writer.connect(connectPacket({ version: 5, ...connect() })))),
      received: (chunk) =>
        current(() => {
          this.#lastHeard = network.clock.monotonic();
          try {
            reader.push(chunk);
          } catch (error) {
            if (!(error instanceof PacketError)) throw error;
            this.die("told");
          }
        }),
      written: (bytes) => current(() => this.#writer.giveBack(bytes)),
      closed: () => current(() => this.#again()),
    });
  }

  #again(): void {
    this.#attempt++;
    this.#socket = null;
    this.#connected = false;
    const { clock, random } = this.#options.network;
    clock.after(100 + random.below(2_000), () => {
      if (this.#socket === null) this.#dial();
    });
  }

  #handler(): PacketHandler {
    const { onConnack, onPublish, onPuback, onSuback } = this.#options;
    return {
      ...NO_PACKETS,
      connack: (packet) => {
        if (packet.reasonCode >= 0x80) return;
        this.#connected = true;
        onConnack?.(packet);
      },
      publish: (view) => onPublish?.(view),
      acknowledge: (_kind, packetId, reasonCode) => onPuback?.(packetId, reasonCode),
      suback: () => onSuback?.(),
    };
  }
}
