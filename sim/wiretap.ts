/** Reads along on every connection, and tells the witness of each acknowledgement in the moment in which it leaves. */
import { LIMITS } from "../src/base/mod.ts";
import { PacketError, PacketReader } from "../src/wire/mqtt/mod.ts";
import type { PacketHandler } from "../src/wire/mqtt/mod.ts";
import type { SimLink, Tap } from "./network.ts";
import type { Witness } from "./witness.ts";
import { nameOf } from "./witness.ts";

const ignore = (): void => {};
export const NO_PACKETS: PacketHandler = {
  connect: ignore,
  connack: ignore,
  publish: ignore,
  acknowledge: ignore,
  subscribe: ignore,
  suback: ignore,
  unsubscribe: ignore,
  unsuback: ignore,
  pingreq: ignore,
  pingresp: ignore,
  disconnect: ignore,
  auth: ignore,
};

interface Readers {
  readonly fromClient: PacketReader;
  readonly fromServer: PacketReader;
}

export class Wiretap implements Tap {
  readonly #witness: Witness;
  readonly #readers = new WeakMap<SimLink, Readers>();

  constructor(witness: Witness) {
    this.#witness = witness;
  }

  opened(link: SimLink): void {
    const published = new Map<number, string>();
    const { mqtt: limits } = LIMITS;
    const fromClient: PacketHandler = {
      ...NO_PACKETS,
      publish: (view) => {
        if (view.qos > 0)
          published.set(view.packetId, nameOf(view.buffer.subarray(view.payloadStart, view.payloadEnd)));
      },
    };
    const fromServer: PacketHandler = {
      ...NO_PACKETS,
      acknowledge: (_kind, packetId, reasonCode) => {
        const text = published.get(packetId);
        published.delete(packetId);
        if (text === undefined) this.#witness.wrong(`${link.name} got a PUBACK for ${packetId}, which it did not send`);
        else this.#witness.acknowledge(text, reasonCode);
      },
    };
    this.#readers.set(link, {
      fromClient: new PacketReader(fromClient, { role: "server", limits }),
      fromServer: new PacketReader(fromServer, { role: "client", version: 5, limits }),
    });
  }

  toServer(link: SimLink, chunk: Uint8Array): void {
    this.#read(this.#readers.get(link)?.fromClient, chunk, `${link.name} sends`);
  }

  toClient(link: SimLink, bytes: Uint8Array): void {
    this.#read(this.#readers.get(link)?.fromServer, bytes.slice(), `the broker sends ${link.name}`);
  }

  #read(reader: PacketReader | undefined, bytes: Uint8Array, what: string): void {
    try {
      reader?.push(bytes);
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      this.#witness.wrong(`${what} what is not MQTT: ${error.detail}`);
    }
  }
}
