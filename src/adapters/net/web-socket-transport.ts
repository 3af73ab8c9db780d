/** One upgraded socket as the broker's `Transport`: MQTT's bytes in binary frames. */
import type { Socket } from "node:net";
import type { BrokerConnection, Transport } from "../../broker/mod.ts";
import { CLOSE_CODE, FrameReader, binaryHeader, closeFrame, pongFrame } from "../../wire/websocket/mod.ts";
import type { FrameFault } from "../../wire/websocket/mod.ts";
import { readShared } from "./shared-read.ts";
import { endSocket } from "./socket-transport.ts";

export class WebSocketTransport implements Transport {
  readonly remoteAddress: string;
  readonly #socket: Socket;
  readonly #reader: FrameReader;
  readonly #faulted: (fault: FrameFault) => void;
  #connection: BrokerConnection | null = null;
  #writing: Uint8Array | null = null;
  #error: string | undefined;
  /** Our Close frame is sent; nothing may follow it (RFC 6455 section 5.5.1). */
  #ended = false;
  #pongUnderWay = false;
  /** The last ping that came meanwhile: answering the latest is enough (RFC 6455 section 5.5.3), and never piles up. */
  #pingWaiting: Uint8Array | null = null;

  constructor(socket: Socket, remoteAddress: string, faulted: (fault: FrameFault) => void) {
    this.#socket = socket;
    this.remoteAddress = remoteAddress;
    this.#faulted = faulted;
    this.#reader = new FrameReader({
      data: (bytes) => this.#connection?.receive(bytes),
      ping: (payload) => this.#answerPing(payload),
      close: (code) => this.#close(code),
    });
  }

  /** Starts to hand bytes to the connection; `head` came together with the upgrade. */
  attach(connection: BrokerConnection, head: Uint8Array): void {
    this.#connection = connection;
    const socket = this.#socket;
    socket.on("error", (error) => {
      this.#error = error.message;
    });
    socket.on("close", () => connection.closed(this.#error));
    socket.on("end", () => this.#close(CLOSE_CODE.normal)); // sockets of HTTP stay half open otherwise
    this.#received(head);
    readShared(socket, (bytes, end) => this.#received(bytes.subarray(0, end)));
  }

  write(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#writing = bytes;
    const socket = this.#socket;
    socket.cork(); // header and payload in one write of the operating system
    socket.write(binaryHeader(bytes.length));
    socket.write(bytes, this.#written);
    socket.uncork();
  }

  end(): void {
    this.#close(CLOSE_CODE.normal);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  #received(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const fault = this.#reader.push(chunk);
    if (fault === null) return;
    this.#error = fault.detail;
    this.#faulted(fault);
    this.#close(fault.closeCode);
  }

  #close(code: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reader.stop();
    this.#socket.resume(); // what still comes is read and forgotten, so that the end of it is noticed
    endSocket(this.#socket, closeFrame(code));
  }

  #answerPing(payload: Uint8Array): void {
    if (this.#ended) return;
    if (this.#pongUnderWay) {
      this.#pingWaiting = payload.slice();
      return;
    }
    this.#pongUnderWay = true;
    this.#socket.write(pongFrame(payload), this.#ponged);
  }

  readonly #ponged = (error?: Error | null): void => {
    this.#pongUnderWay = false;
    const waiting = this.#pingWaiting;
    this.#pingWaiting = null;
    if (waiting !== null && (error === null || error === undefined)) this.#answerPing(waiting);
  };

  readonly #written = (error?: Error | null): void => {
    const bytes = this.#writing;
    this.#writing = null;
    // As in `SocketTransport`: after an error the buffer is not known to be free.
    if (bytes !== null && (error === null || error === undefined)) this.#connection?.written(bytes);
  };
}
