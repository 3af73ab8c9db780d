/** Publishes at QoS 1 as fast as the broker acknowledges: MQTT 3.1.1 over TCP, packets made beforehand. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { connectPacket, packet, text } from "../mqtt-packets.ts";

/** Publishes that wait for their PUBACK, per connection. */
const WINDOW = 256;
/** Written at once, at most. */
const AT_ONCE = 64;

export interface Publish {
  readonly topic: string;
  readonly payload: string;
}

export class MqttPipe {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static open(host: string, port: number, clientId: string): Promise<MqttPipe> {
    return new Promise((resolve, reject) => {
      const hello = connectPacket(clientId);
      const socket = connect({ host, port, noDelay: true }, () => void socket.write(hello));
      socket.once("error", reject);
      socket.once("data", (connack: Buffer) => {
        if (connack[0] === 0x20 && connack[3] === 0) resolve(new MqttPipe(socket));
        else reject(new Error(`CONNACK ${connack.toString("hex")}`));
      });
    });
  }

  /** Resolves when all of them are acknowledged. */
  publish(packets: readonly Buffer[]): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      let sent = 0;
      let acknowledged = 0;
      let odd = 0;
      const send = (): void => {
        while (sent < packets.length && sent - acknowledged < WINDOW) {
          const end = Math.min(packets.length, sent + AT_ONCE, acknowledged + WINDOW);
          socket.write(Buffer.concat(packets.slice(sent, end)));
          sent = end;
        }
      };
      const lost = (): void => reject(new Error("the broker closed the connection"));
      socket.once("close", lost);
      socket.on("data", (chunk: Buffer) => {
        odd += chunk.length;
        acknowledged += odd >> 2; // PUBACK of 3.1.1 has four bytes
        odd &= 3;
        if (acknowledged < packets.length) return send();
        socket.removeAllListeners("data");
        socket.off("close", lost);
        resolve();
      });
      send();
    });
  }

  /** Open loop: `perSecond` of them, whatever is acknowledged; resolves when all are, rejects where the connection ends before. */
  publishPaced(packets: readonly Buffer[], perSecond: number, tickMs = 5): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      const startedAt = performance.now();
      let sent = 0;
      const timer = setInterval(() => {
        const due = Math.min(packets.length, Math.ceil(((performance.now() - startedAt) / 1000) * perSecond));
        if (due > sent) socket.write(Buffer.concat(packets.slice(sent, due)));
        sent = Math.max(sent, due);
      }, tickMs);
      const lost = (): void => {
        clearInterval(timer);
        reject(new Error("the broker closed the connection"));
      };
      let missing = packets.length * 4; // PUBACK of 3.1.1 has four bytes
      const take = (chunk: Buffer): void => {
        missing -= chunk.length;
        if (missing > 0) return;
        clearInterval(timer);
        socket.off("data", take);
        socket.off("close", lost);
        resolve();
      };
      socket.once("close", lost);
      socket.on("data", take);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** `index`: of the message on its connection. */
export function publishPacket({ topic, payload }: Publish, index: number): Buffer {
  const packetId = (index % 65_535) + 1;
  const id = Buffer.from([packetId >> 8, packetId & 255]);
  return packet(0x32, text(topic), id, Buffer.from(payload));
}
