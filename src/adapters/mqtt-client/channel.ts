/** Bytes to a broker and back: over TCP or TLS, bare or in a WebSocket. */
import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { connect as connectTcp, isIP } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { kib, reasonOf, seconds } from "../../base/mod.ts";
import type { CloseCause } from "../../queue/mod.ts";
import { CLOSE_CODE, FrameReader, maskedFrame } from "../../wire/websocket/mod.ts";
import { closeCauseOf } from "../net/uplink-socket.ts";
import { systemRandom } from "../system.ts";
import type { BrokerAddress, BrokerCredentials } from "./broker-address.ts";

export type ChannelEnd =
  | { readonly kind: "closed"; readonly cause: CloseCause }
  | { readonly kind: "not-upgraded"; readonly status: number; readonly detail: string };

export interface ChannelEvents {
  opened(): void;
  /** Valid during the call only. */
  received(bytes: Uint8Array): void;
  /** Once, however it ends. */
  closed(end: ChannelEnd): void;
}

export interface Channel {
  /** The bytes are the channel's until `written` is called. */
  write(bytes: Uint8Array, written: () => void): void;
  pause(): void;
  resume(): void;
  /** What was written goes out first. */
  end(): void;
  destroy(): void;
}

/** RFC 6455 section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** As in `uplink-socket.ts`: Node's own default is less than one round trip over a satellite. */
const ADDRESS_TIMEOUT = seconds(3);
const LEAVE_TIMEOUT = seconds(2);
/** Of what a server says instead of opening a WebSocket. */
const ANSWER_BYTES_MAX = kib(4);

export function openChannel(address: BrokerAddress, credentials: BrokerCredentials, events: ChannelEvents): Channel {
  try {
    return address.webSocket ? new WebSocketChannel(address, credentials, events) : plain(address, credentials, events);
  } catch (error) {
    // Node reads keys and certificates at once.
    const cause = { kind: "credentials", detail: reasonOf(error).split("\n")[0]! } as const;
    setImmediate(() => events.closed({ kind: "closed", cause }));
    return { write: () => {}, pause: () => {}, resume: () => {}, end: () => {}, destroy: () => {} };
  }
}

function tlsOptions({ host }: BrokerAddress, { ca, certificate, privateKey }: BrokerCredentials): object {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(privateKey === undefined ? {} : { key: privateKey }),
    // An address is no server name (RFC 6066 section 3).
    servername: isIP(host) === 0 ? host : "",
    minVersion: "TLSv1.2",
  };
}

function plain(address: BrokerAddress, credentials: BrokerCredentials, events: ChannelEvents): Channel {
  const { host, port, secure } = address;
  const to = { host, port, autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT };
  const socket = secure ? connectTls({ ...to, ...tlsOptions(address, credentials) }) : connectTcp(to);
  socket.on(secure ? "secureConnect" : "connect", () => events.opened());
  socket.on("data", (chunk: Buffer) => events.received(chunk));
  tellEnd(socket, events);
  return {
    write: (bytes, written) => void socket.write(bytes, () => written()),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => leave(socket),
    destroy: () => void socket.destroy(),
  };
}

function tellEnd(socket: Socket, events: ChannelEvents): void {
  let failure: Error | null = null;
  socket.setNoDelay(true);
  socket.on("error", (error: Error) => (failure ??= error));
  socket.on("close", () => {
    const cause: CloseCause =
      failure === null ? { kind: "ended", detail: "closed by the other side" } : closeCauseOf(failure);
    events.closed({ kind: "closed", cause });
  });
}

function leave(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LEAVE_TIMEOUT);
  socket.once("close", () => clearTimeout(timer));
  socket.resume(); // what still comes is read and forgotten, so that the end of it is noticed
  socket.destroySoon();
}

class WebSocketChannel implements Channel {
  #socket: Socket | null = null;
  #ended = false;
  readonly #abandon: () => void;
  readonly #events: ChannelEvents;
  readonly #reader: FrameReader;

  constructor(address: BrokerAddress, credentials: BrokerCredentials, events: ChannelEvents) {
    this.#events = events;
    this.#reader = new FrameReader(
      {
        data: (bytes) => events.received(bytes),
        ping: (payload) => this.#send("pong", payload),
        close: (code) => this.#close(code),
      },
      "server",
    );
    const abort = new AbortController();
    this.#abandon = () => abort.abort();
    void this.#open(address, credentials, abort.signal);
  }

  async #open(address: BrokerAddress, credentials: BrokerCredentials, signal: AbortSignal): Promise<void> {
    const { secure, host, port, path } = address;
    const key = randomBytes(16).toString("base64");
    const { request } = secure ? await import("node:https") : await import("node:http");
    try {
      const asked = request({
        host,
        port,
        path,
        signal,
        agent: false,
        ...(secure ? tlsOptions(address, credentials) : {}),
        headers: {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": key,
          "sec-websocket-protocol": "mqtt", // [MQTT-6.0.0-3]
          ...(credentials.bearer === undefined ? {} : { authorization: `Bearer ${credentials.bearer}` }),
        },
      });
      asked.on("upgrade", (response, socket: Socket, head) => this.#upgraded(key, response, socket, head));
      asked.on("response", (response) => void this.#refused(response));
      asked.on("error", (error) => this.#closed({ kind: "closed", cause: closeCauseOf(error) }));
      asked.end();
    } catch (error) {
      this.#closed({ kind: "closed", cause: { kind: "credentials", detail: reasonOf(error).split("\n")[0]! } });
    }
  }

  #upgraded(key: string, { headers }: IncomingMessage, socket: Socket, head: Uint8Array): void {
    const expected = createHash("sha1")
      .update(key + GUID)
      .digest("base64");
    if (headers["sec-websocket-accept"] !== expected || headers["sec-websocket-protocol"] !== "mqtt") {
      socket.destroy();
      this.#closed({ kind: "not-upgraded", status: 101, detail: "it opens a WebSocket, and not one for MQTT" });
      return;
    }
    this.#socket = socket;
    tellEnd(socket, { ...this.#events, closed: (end) => this.#closed(end) });
    socket.on("end", () => this.#close(CLOSE_CODE.normal)); // sockets of HTTP stay half open otherwise
    this.#events.opened();
    this.#received(head);
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
  }

  async #refused(response: IncomingMessage): Promise<void> {
    let text = "";
    try {
      for await (const part of response.setEncoding("utf8")) {
        text += part as string;
        if (text.length > ANSWER_BYTES_MAX) break;
      }
    } catch {
      // What it had to say got lost; the status is known.
    }
    const detail = text.split("\n")[0]!.trim().slice(0, 300).replace(/\.$/, "");
    const status = response.statusCode ?? 0;
    this.#closed({ kind: "not-upgraded", status, detail: detail === "" ? "it opens no WebSocket there" : detail });
    response.destroy();
  }

  #received(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#ended) return;
    const fault = this.#reader.push(chunk);
    if (fault !== null) this.#close(fault.closeCode);
  }

  #closed(end: ChannelEnd): void {
    if (this.#ended && this.#socket === null) return;
    this.#ended = true;
    this.#socket = null;
    this.#events.closed(end);
  }

  #send(kind: "binary" | "close" | "pong", payload: Uint8Array, written?: () => void): void {
    if (this.#ended) return;
    this.#socket?.write(maskedFrame(kind, payload, systemRandom.bytes(4)), () => written?.());
  }

  #close(code: number): void {
    if (this.#ended || this.#socket === null) return;
    this.#send("close", Uint8Array.of(code >> 8, code & 0xff));
    this.#ended = true;
    this.#reader.stop();
    leave(this.#socket);
  }

  write(bytes: Uint8Array, written: () => void): void {
    this.#send("binary", bytes, written);
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  end(): void {
    if (this.#socket === null) this.destroy();
    else this.#close(CLOSE_CODE.normal);
  }

  destroy(): void {
    if (this.#socket === null) this.#abandon();
    else this.#socket.destroy();
  }
}
