/** One TCP or TLS socket as the broker's `Transport`. */
import type { Socket } from "node:net";
import type { BrokerConnection, Transport } from "../../broker/mod.ts";
import { readShared } from "./shared-read.ts";

/** A peer that does not close after our good-bye is cut off. */
const CLOSE_GRACE_MS = 5_000;

/** Sends what was written, and `last`; then closes. */
export function endSocket(socket: Socket, last?: Uint8Array): void {
  // Where the client has closed first, Node has ended our side already, and a second time costs an error with its stack.
  if (last !== undefined) socket.end(last);
  else if (!socket.writableEnded) socket.end();
  const timer = setTimeout(() => socket.destroy(), CLOSE_GRACE_MS);
  socket.once("close", () => clearTimeout(timer));
}

export class SocketTransport implements Transport {
  readonly remoteAddress: string;
  readonly #socket: Socket;
  #connection: BrokerConnection | null = null;
  #writing: Uint8Array | null = null;
  #error: string | undefined;

  constructor(socket: Socket, remoteAddress: string) {
    this.#socket = socket;
    this.remoteAddress = remoteAddress;
  }

  /** Starts to hand bytes to the connection. */
  attach(connection: BrokerConnection): void {
    this.#connection = connection;
    const socket = this.#socket;
    socket.on("error", (error) => {
      this.#error = error.message;
    });
    socket.on("close", () => connection.closed(this.#error));
    readShared(socket, (bytes, end) => connection.receive(bytes, end));
  }

  /** One write of the operating system; `written` is told once the kernel has taken all of it. */
  write(bytes: Uint8Array): void {
    this.#writing = bytes;
    this.#socket.write(bytes, this.#written);
  }

  end(): void {
    endSocket(this.#socket);
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

  readonly #written = (error?: Error | null): void => {
    const bytes = this.#writing;
    this.#writing = null;
    // After an error the socket closes by itself, and the buffer is not known to be free.
    if (bytes !== null && (error === null || error === undefined)) this.#connection?.written(bytes);
  };
}
