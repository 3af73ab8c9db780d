/** The MQTT listeners: TLS with client certificates, or plain TCP. A connection reaches the broker once it is known who it is. */
import { createHash } from "node:crypto";
import { Socket, createServer as createTcpServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { SecureVersion, Server as TlsServer, TLSSocket } from "node:tls";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Clock, Logger, Metrics, MqttLimits } from "../../base/mod.ts";
import type { BrokerConnection, Peer, Transport } from "../../broker/mod.ts";
import { handshakeFault } from "./handshake-fault.ts";
import { ListenerRefusals } from "./listener-refusals.ts";
import { Strangers } from "./strangers.ts";
import { SocketTransport } from "./socket-transport.ts";

/** PEM texts. */
export interface TlsMaterial {
  readonly key: string | Uint8Array;
  readonly cert: string | Uint8Array;
  /** CAs that issue client certificates. */
  readonly ca: string | Uint8Array | readonly (string | Uint8Array)[];
  /** Default TLS 1.2. */
  readonly minVersion?: SecureVersion;
}

export type PeerVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

export interface MqttListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Absent: plain TCP, and `certificateId` is null. */
  readonly tls?: TlsMaterial;
  /** Whether a certificate may connect at all; asked before a byte of MQTT is read, for resumed TLS sessions too. */
  admitPeer(certificateId: string): PeerVerdict;
  accept(transport: Transport, peer: Peer): BrokerConnection;
  /** The command line option that sets the port, for the error message. */
  readonly portOption: string;
  readonly limits: Pick<MqttLimits, "connectionsMax" | "connectionsPerAddressMax" | "greetingsMax" | "connectTimeout">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface MqttListener {
  readonly port: number;
  /** New connections use the new material; existing ones go on. Throws where it is not usable, and keeps the old. */
  reload(tls: TlsMaterial): void;
  /** Takes no new connections, waits up to `graceMs` for those that are there to end, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/** AWS IoT's SDKs offer the first; a client that offers none is served too. */
const ALPN_PROTOCOLS = ["x-amzn-mqtt-ca", "mqtt"];
/** TCP probes find peers that vanished without a word, whatever keep-alive they asked for. */
const TCP_KEEP_ALIVE_MS = 60_000;

/** Throws `TidewireError` PORT_IN_USE or PORT_FORBIDDEN. */
export async function listenMqtt(options: MqttListenerOptions): Promise<MqttListener> {
  const listener = new Listener(options);
  await listener.listen();
  return listener;
}

class Listener implements MqttListener {
  readonly #options: MqttListenerOptions;
  readonly #name: string;
  readonly #refusals: ListenerRefusals;
  readonly #server: Server;
  readonly #tls: TlsServer | null;
  readonly #sockets = new Set<Socket>();
  readonly #strangers: Strangers<Socket>;
  readonly #perAddress = new Map<string, number>();
  readonly #addresses = new WeakMap<Socket, string>();

  constructor(options: MqttListenerOptions) {
    this.#options = options;
    this.#name = options.tls === undefined ? "mqtt" : "mqtts";
    this.#refusals = new ListenerRefusals(this.#name, options);
    this.#strangers = new Strangers(options.limits.greetingsMax);
    const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS };
    this.#server = createTcpServer(socketOptions, (socket) => this.#arrived(socket));
    this.#tls = options.tls === undefined ? null : this.#tlsServer(options.tls);
    options.metrics.observe(
      { name: "tidewire_listener_connections", help: "Open sockets", labels: { listener: this.#name } },
      () => this.#sockets.size,
    );
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", (error) => reject(this.#listenError(error)));
      this.#server.listen({ host, port, backlog: 1024 }, () => {
        this.#server.removeAllListeners("error");
        this.#server.on("error", (error) => {
          this.#options.logger.error("the listener cannot accept connections", { error: reasonOf(error) });
        });
        resolve();
      });
    });
  }

  reload(tls: TlsMaterial): void {
    if (this.#tls === null) throw new Error("a plain listener has no certificate");
    this.#tls.setSecureContext(contextOf(tls));
  }

  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(timer);
  }

  #listenError(error: NodeJS.ErrnoException): Error {
    const { host, port, portOption: option } = this.#options;
    const details = { port, host, listener: this.#name, option, reason: reasonOf(error) };
    if (error.code === "EADDRINUSE") return new TidewireError("PORT_IN_USE", details, { cause: error });
    const forbidden = error.code === "EACCES" || error.code === "EADDRNOTAVAIL";
    return forbidden ? new TidewireError("PORT_FORBIDDEN", details, { cause: error }) : error;
  }

  /** Counts and limits, before any cryptography is spent on the peer. */
  #arrived(socket: Socket): void {
    const address = addressOf(socket);
    const { connectionsPerAddressMax, greetingsMax } = this.#options.limits;
    // Beyond its clients the broker is shown some more, whom it can tell that it is busy.
    const connectionsMax = this.#options.limits.connectionsMax + greetingsMax;
    const fromThere = this.#perAddress.get(address) ?? 0;
    if (this.#sockets.size >= connectionsMax || fromThere >= connectionsPerAddressMax) {
      const all = this.#sockets.size >= connectionsMax;
      const reason = all ? "connections-full" : "connections-per-address-full";
      const hint = all ? `limit: ${connectionsMax} connections` : `limit: ${connectionsPerAddressMax} per address`;
      this.#refusals.refuse(address, reason, hint);
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    this.#addresses.set(socket, address);
    this.#perAddress.set(address, fromThere + 1);
    socket.once("close", () => this.#left(socket, address));
    socket.on("error", ignore); // whoever serves the socket is told by "close"
    if (this.#tls === null) return this.#serve(socket, { remoteAddress: address, certificateId: null });
    this.#admitStranger(socket);
    this.#tls.emit("connection", socket);
  }

  #admitStranger(socket: Socket): void {
    const oldest = this.#strangers.add(socket);
    if (oldest === null) return;
    this.#refusals.refuse(addressOf(oldest), "strangers-full", "others wait, and this one has not shown who it is");
    oldest.destroy();
  }

  #left(socket: Socket, address: string): void {
    this.#sockets.delete(socket);
    this.#strangers.delete(socket);
    const others = (this.#perAddress.get(address) ?? 1) - 1;
    if (others === 0) this.#perAddress.delete(address);
    else this.#perAddress.set(address, others);
  }

  #tlsServer(tls: TlsMaterial): TlsServer {
    const server = createTlsServer({
      ...contextOf(tls),
      requestCert: true,
      rejectUnauthorized: true,
      ALPNProtocols: ALPN_PROTOCOLS,
      handshakeTimeout: this.#options.limits.connectTimeout,
    });
    server.on("secureConnection", (socket) => this.#secured(socket));
    server.on("tlsClientError", (error, socket) => {
      const fault = handshakeFault(error, socket.authorizationError);
      this.#refusals.refuse(this.#handshakeAddress(socket), fault.reason, fault.hint, reasonOf(error));
      socket.destroy();
    });
    return server;
  }

  /** Node hands out failed TLS sockets when they have forgotten their address; the TCP socket below is remembered. */
  #handshakeAddress(socket: TLSSocket & { readonly _parent?: Socket | null }): string {
    const below = socket._parent;
    return (below instanceof Socket ? this.#addresses.get(below) : undefined) ?? addressOf(socket);
  }

  /** The handshake proved the private key; now the certificate itself: a resumed session has not been verified again. */
  #secured(socket: TLSSocket): void {
    const address = addressOf(socket);
    socket.on("error", ignore);
    const below = (socket as TLSSocket & { readonly _parent?: Socket | null })._parent;
    if (below instanceof Socket) this.#strangers.delete(below);
    const certificate = socket.getPeerX509Certificate();
    const refuse = (reason: string, hint: string): void => {
      this.#refusals.refuse(address, reason, hint);
      socket.destroy();
    };
    if (certificate === undefined) return refuse("no-certificate", "the client sent no certificate");
    const now = this.#options.clock.now();
    if (now >= certificate.validToDate.getTime()) {
      return refuse("certificate-expired", "the client's certificate has expired: issue a new one");
    }
    const certificateId = createHash("sha256").update(certificate.raw).digest("hex");
    const verdict = this.#options.admitPeer(certificateId);
    if (!verdict.ok) return refuse("certificate-refused", verdict.reason);
    this.#serve(socket, { remoteAddress: address, certificateId });
  }

  #serve(socket: Socket, peer: Peer): void {
    const transport = new SocketTransport(socket, peer.remoteAddress);
    transport.attach(this.#options.accept(transport, peer));
  }
}

function contextOf(tls: TlsMaterial) {
  const plain = (text: string | Uint8Array): string => (typeof text === "string" ? text : Buffer.from(text).toString());
  const ca = (Array.isArray(tls.ca) ? tls.ca : [tls.ca]).map((one: string | Uint8Array) => plain(one));
  return { key: plain(tls.key), cert: plain(tls.cert), ca, minVersion: tls.minVersion ?? "TLSv1.2" } as const;
}

/** IPv4 as such where the socket speaks both. */
function addressOf(socket: Socket): string {
  const address = socket.remoteAddress ?? "unknown";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

function ignore(): void {}
