/** The listeners: TCP, optionally behind a proxy, optionally TLS; MQTT to the broker, HTTP to whoever serves it. */
import { BlockList, createServer, isIP, isIPv6 } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Clock, Logger, Metrics, MqttLimits } from "../../base/mod.ts";
import type { BrokerConnection, Peer, Transport } from "../../broker/mod.ts";
import { readProxyHeader } from "../../wire/proxy/mod.ts";
import type { ProxyVersion } from "../../wire/proxy/mod.ts";
import { readFirst } from "./first-bytes.ts";
import type { Look } from "./first-bytes.ts";
import { NO_CERTIFICATE, UNTRUSTED } from "./handshake-fault.ts";
import { ListenerRefusals } from "./listener-refusals.ts";
import type { ListenerRefusal, ShownCertificate } from "./listener-refusals.ts";
import { SecondLook } from "./second-look.ts";
import { SocketTransport } from "./socket-transport.ts";
import { Strangers } from "./strangers.ts";
import { TlsDoor, chainShownBy, shownBy } from "./tls-door.ts";
import type { ClientCertificate, Credential, Protocol, TlsMaterial } from "./tls-door.ts";

export type PeerVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Who is at the other end of an HTTP connection. */
export interface Visitor {
  readonly remoteAddress: string;
  readonly credential: Credential;
  /** Who its request proved it to be, e.g. by a signature: `key/ID`. */
  readonly principal?: string;
}

/** Who shows a certificate that may not come in, and proved to have its key. */
export interface Newcomer {
  readonly certificateId: string;
  readonly remoteAddress: string;
  /** DER of the certificate and of what came along: what TLS has not found trusted is there in full. */
  readonly chain: () => readonly Uint8Array[];
}

export interface Refused {
  readonly reason: string;
  readonly hint: string;
}

export interface ProxyOptions {
  readonly version: ProxyVersion;
  /** Addresses and networks (`192.0.2.0/24`) of the proxies; nobody else may connect, and none without its header. */
  readonly from: readonly string[];
}

export interface MqttListenerOptions {
  /** In metrics and log lines; default `mqtts`, or `mqtt` without TLS. */
  readonly name?: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Absent: plain TCP, and `certificateId` is null. */
  readonly tls?: TlsMaterial;
  /** Default `required`. */
  readonly clientCertificate?: ClientCertificate;
  /**
   * Clients may come back by a ticket, for half of a handshake; but every handshake pays for the tickets, and few MQTT clients use
   * theirs. Default false.
   */
  readonly sessionTickets?: boolean;
  /** Serves HTTP connections; without it there is only MQTT. */
  readonly http?: (socket: Socket, visitor: Visitor) => void;
  /** What a client is taken for that names no protocol (by ALPN). Default `mqtt`. */
  readonly unnamed?: Protocol | "first-byte";
  readonly proxy?: ProxyOptions;
  /** Peers are marked as such: the listener was opened for anybody. */
  readonly anonymous?: boolean;
  /** Peers are marked so: their CONNECT says who they are. */
  readonly login?: Peer["login"];
  /** Whether a certificate may connect at all; asked before a byte of MQTT is read, for resumed TLS sessions too. */
  readonly admitPeer: (certificateId: string) => PeerVerdict;
  /** Certificates whose issuer is not known here, and who may come all the same: the registry has the very certificate. */
  readonly unverified?: {
    readonly expected: () => boolean;
    readonly admits: (certificateId: string) => boolean;
  };
  /**
   * Asked about MQTT clients whose certificate is not let in, before they are refused: it may see to it that the next
   * connection is. Null: it has nothing to say to it. Must not reject.
   */
  readonly newcomer?: (newcomer: Newcomer) => Promise<Refused> | null;
  readonly accept: (transport: Transport, peer: Peer) => BrokerConnection;
  /** The command line option that sets the port, for the error message. */
  readonly portOption: string;
  readonly limits: Pick<MqttLimits, "connectionsMax" | "connectionsPerAddressMax" | "greetingsMax" | "connectTimeout">;
  /** Shared by listeners whose connections count together; by default each counts for itself. */
  readonly counts?: ConnectionCounts;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Told of everybody who is refused below MQTT; must be cheap. */
  readonly onRefused?: (refusal: ListenerRefusal) => void;
}

export interface MqttListener {
  readonly port: number;
  /** New connections use the new material; existing ones go on. Throws where it is not usable, and keeps the old. */
  reload(tls: TlsMaterial): void;
  /** Takes no new connections, waits up to `graceMs` for those that are there to end, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/** TCP probes find peers that vanished without a word, whatever keep-alive they asked for. */
const TCP_KEEP_ALIVE_MS = 60_000;
/** The first byte of an MQTT connection is CONNECT's [MQTT-3.1.0-1]; no HTTP request begins with it. */
const CONNECT_BYTE = 0x10;
const NOBODY: Credential = { kind: "none" };

/** Open connections, in all and by address; as many entries as connections at most. */
export class ConnectionCounts {
  total = 0;
  readonly perAddress = new Map<string, number>();
}

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
  readonly #secondLook: SecondLook;
  readonly #server: Server;
  readonly #tls: TlsDoor | null;
  readonly #proxies: BlockList | null;
  /** Open TCP sockets and the client's address, null until it is known. */
  readonly #sockets = new Map<Socket, string | null>();
  /** The same below TLS, where a handshake that failed is told when the socket is closed already. */
  readonly #addresses = new WeakMap<Socket, string>();
  readonly #counts: ConnectionCounts;
  /** Behind a proxy's header or TLS: those that have not come through yet. */
  readonly #strangers: Strangers<Socket>;

  constructor(options: MqttListenerOptions) {
    this.#options = options;
    this.#name = options.name ?? (options.tls === undefined ? "mqtt" : "mqtts");
    this.#secondLook = new SecondLook(options.clock);
    this.#refusals = new ListenerRefusals(this.#name, options);
    this.#counts = options.counts ?? new ConnectionCounts();
    this.#strangers = new Strangers(options.limits.greetingsMax);
    const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS };
    this.#server = createServer(socketOptions, (socket) => this.#arrived(socket));
    this.#tls = options.tls === undefined ? null : this.#tlsDoor(options.tls);
    this.#proxies = options.proxy === undefined ? null : blockListOf(options.proxy.from);
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
    this.#tls.reload(tls);
  }

  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    const timer = setTimeout(() => {
      for (const socket of this.#sockets.keys()) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(timer);
  }

  #listenError(error: NodeJS.ErrnoException): Error {
    const { host, port, portOption: option } = this.#options;
    const details = { port, host, listener: this.#name.toUpperCase(), option, reason: reasonOf(error) };
    if (error.code === "EADDRINUSE") return new TidewireError("PORT_IN_USE", details, { cause: error });
    const forbidden = error.code === "EACCES" || error.code === "EADDRNOTAVAIL";
    return forbidden ? new TidewireError("PORT_FORBIDDEN", details, { cause: error }) : error;
  }

  // ── TCP ──────────────────────────────────────────────────────────────────────────────────────

  /** Counts and limits, before any cryptography is spent on the peer. */
  #arrived(socket: Socket): void {
    const address = addressOf(socket);
    // Beyond its clients the broker is shown some more, whom it can tell that it is busy.
    const connectionsMax = this.#options.limits.connectionsMax + this.#options.limits.greetingsMax;
    if (this.#counts.total >= connectionsMax) {
      return this.#refuse(socket, address, "connections-full", `limit: ${connectionsMax} connections`);
    }
    this.#sockets.set(socket, null);
    this.#counts.total++;
    socket.on("close", () => this.#left(socket)); // one listener: a connection is to cost little while it is idle
    socket.on("error", ignore); // whoever serves the socket is told by "close"
    if (this.#proxies !== null || this.#tls !== null) this.#admitStranger(socket);
    if (this.#proxies === null) this.#counted(socket, address);
    else if (this.#proxies.check(address, isIPv6(address) ? "ipv6" : "ipv4")) this.#behindProxy(socket, address);
    else this.#refuse(socket, address, "proxy-address", "only the proxies that were named may connect here");
  }

  #admitStranger(socket: Socket): void {
    const oldest = this.#strangers.add(socket);
    if (oldest === null) return;
    const hint = "others wait, and this one has not shown who it is";
    this.#refuse(oldest, this.#sockets.get(oldest) ?? addressOf(oldest), "strangers-full", hint);
  }

  #behindProxy(socket: Socket, proxyAddress: string): void {
    const { version } = this.#options.proxy!;
    const look = (bytes: Buffer): Look<string> | Look<Error> | null => {
      const header = readProxyHeader(bytes, version);
      if (header.kind === "incomplete") return null;
      if (header.kind === "wrong") return { value: new Error(header.reason), used: 0 };
      return { value: header.address ?? proxyAddress, used: header.bytes };
    };
    readFirst<string | Error>(socket, this.#options.limits.connectTimeout, look, (found) => {
      if (typeof found === "string") return this.#counted(socket, found);
      const late = "the proxy sent no PROXY header in time";
      this.#refuse(socket, proxyAddress, "proxy-header", found?.message ?? late);
    });
  }

  /** `address`: the client's own, also behind a proxy. */
  #counted(socket: Socket, address: string): void {
    const { connectionsPerAddressMax } = this.#options.limits;
    const { perAddress } = this.#counts;
    const fromThere = perAddress.get(address) ?? 0;
    if (fromThere >= connectionsPerAddressMax) {
      const hint = `limit: ${connectionsPerAddressMax} per address`;
      return this.#refuse(socket, address, "connections-per-address-full", hint);
    }
    perAddress.set(address, fromThere + 1);
    this.#sockets.set(socket, address);
    if (this.#tls === null) return this.#opened(socket, address, null, NOBODY);
    this.#addresses.set(socket, address);
    this.#tls.arrived(socket, address);
  }

  #left(socket: Socket): void {
    const { perAddress } = this.#counts;
    const address = this.#sockets.get(socket)!;
    this.#sockets.delete(socket);
    this.#strangers.delete(socket);
    this.#counts.total--;
    if (address === null) return;
    const others = (perAddress.get(address) ?? 1) - 1;
    if (others === 0) perAddress.delete(address);
    else perAddress.set(address, others);
  }

  #refuse(
    socket: Socket,
    address: string,
    reason: string,
    hint: string,
    error?: unknown,
    shown: ShownCertificate | null = null,
  ): void {
    this.#refusals.refuse(address, reason, hint, error === undefined ? undefined : reasonOf(error), shown);
    socket.destroy();
  }

  // ── TLS ──────────────────────────────────────────────────────────────────────────────────────

  #tlsDoor(material: TlsMaterial): TlsDoor {
    const { clientCertificate = "required", sessionTickets = false, http, limits, clock, unverified } = this.#options;
    return new TlsDoor({
      material,
      clientCertificate,
      sessionTickets,
      protocols: http === undefined ? ["mqtt"] : ["mqtt", "http"],
      handshakeTimeout: limits.connectTimeout,
      clock,
      unverifiedExpected: (address) => unverified?.expected() === true || this.#secondLook.isWanted(address),
      opened: (socket, protocol, credential) => {
        const address = this.#addressBelow(socket);
        // A second look is for those who have a certificate.
        if (credential.kind === "none" && clientCertificate === "required" && unverified?.expected() !== true) {
          return this.#refuse(socket, address, NO_CERTIFICATE.reason, NO_CERTIFICATE.hint);
        }
        this.#opened(socket, address, protocol, credential);
      },
      failed: (socket, reason, hint, error) => {
        const address = this.#addressBelow(socket);
        if (reason.startsWith("certificate-")) this.#secondLook.missed(address);
        this.#refuse(socket, address, reason, hint, error);
      },
    });
  }

  #addressBelow(socket: TLSSocket): string {
    return this.#addresses.get(belowOf(socket)) ?? addressOf(socket);
  }

  // ── what is spoken ───────────────────────────────────────────────────────────────────────────

  #opened(socket: Socket, address: string, protocol: Protocol | null, shown: Credential): void {
    const credential = this.#judged(shown);
    const spoken = protocol ?? this.#options.unnamed ?? "mqtt";
    if (spoken === "mqtt") return this.#mqtt(socket, address, credential);
    if (spoken === "http") return this.#http(socket, address, credential);
    const look = (bytes: Buffer): Look<number> => ({ value: bytes[0]!, used: 0 });
    readFirst<number>(socket, this.#options.limits.connectTimeout, look, (first) => {
      if (first === null) this.#refuse(socket, address, "silent", "the client sent nothing");
      else if (first === CONNECT_BYTE) this.#mqtt(socket, address, credential);
      else this.#http(socket, address, credential);
    });
  }

  /** The handshake has proved the private key, whoever issued the certificate. */
  #judged(shown: Credential): Credential {
    if (shown.kind !== "unusable" || shown.certificateId === null) return shown;
    const { certificateId } = shown;
    return this.#options.unverified?.admits(certificateId) === true ? { kind: "certificate", certificateId } : shown;
  }

  #http(socket: Socket, remoteAddress: string, credential: Credential): void {
    this.#strangers.delete(belowOf(socket));
    const { http, proxy } = this.#options;
    if (http === undefined) return this.#refuse(socket, remoteAddress, "http", "only MQTT is spoken here");
    // Limits and logs of an HTTP server go by this.
    if (proxy !== undefined) Object.defineProperty(socket, "remoteAddress", { value: remoteAddress });
    http(socket, { remoteAddress, credential });
    socket.resume();
  }

  #mqtt(socket: Socket, remoteAddress: string, credential: Credential): void {
    this.#strangers.delete(belowOf(socket));
    const { admitPeer, accept } = this.#options;
    if (credential.kind === "unusable") return this.#unwelcome(socket, remoteAddress, credential);
    if (credential.kind === "certificate") {
      const { certificateId } = credential;
      const verdict = admitPeer(certificateId);
      if (!verdict.ok) {
        const refused = { certificateId, reason: "certificate-refused", hint: verdict.reason };
        return this.#unwelcome(socket, remoteAddress, refused);
      }
    }
    const peer = peerOf(remoteAddress, credential, this.#options, socket);
    const transport = new SocketTransport(socket, remoteAddress);
    transport.attach(accept(transport, peer));
    socket.resume();
  }

  /** Its certificate is not let in. */
  #unwelcome(socket: Socket, address: string, refused: Refused & { readonly certificateId: string | null }): void {
    const shown = shownBy(socket);
    const refuse = ({ reason, hint }: Refused): void => this.#refuse(socket, address, reason, hint, undefined, shown);
    const answer = answerToNewcomer(socket, address, refused, this.#options.newcomer);
    if (answer === null) refuse(refused);
    else void answer.then(refuse);
  }
}

/** Null: nobody has more to say to it than that it is refused. */
export function answerToNewcomer(
  socket: Socket,
  remoteAddress: string,
  { certificateId, reason }: Refused & { readonly certificateId: string | null },
  newcomer: MqttListenerOptions["newcomer"],
): Promise<Refused> | null {
  // What is wrong with the certificate itself, nobody can mend by registering it.
  const isUnknown = reason === "certificate-refused" || reason === UNTRUSTED.reason;
  if (certificateId === null || !isUnknown) return null;
  return newcomer?.({ certificateId, remoteAddress, chain: () => chainShownBy(socket) }) ?? null;
}

export function peerOf(
  remoteAddress: string,
  credential: Credential,
  { anonymous = false, login, principal }: Pick<MqttListenerOptions, "anonymous" | "login"> & Pick<Peer, "principal">,
  socket: Socket,
): Peer {
  if (credential.kind === "certificate") {
    const { certificateId } = credential;
    const serverName = socket instanceof TLSSocket ? socket.servername : null;
    // An address is no name, though some clients send it as one.
    if (typeof serverName !== "string" || isIP(serverName) !== 0) return { remoteAddress, certificateId };
    return { remoteAddress, certificateId, serverName };
  }
  const stranger = { remoteAddress, certificateId: null };
  if (principal !== undefined) return { ...stranger, principal };
  if (login !== undefined) return { ...stranger, login };
  return anonymous ? { ...stranger, anonymous } : stranger;
}

/** The TCP socket below TLS, by a name that Node's types do not know. */
function belowOf(socket: Socket & { readonly _parent?: Socket | null }): Socket {
  return socket._parent ?? socket;
}

/** `networks` have been checked by whoever read them from the user. */
function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address, prefix] = network.split("/") as [string, string?];
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    list.addSubnet(address, prefix === undefined ? (family === "ipv6" ? 128 : 32) : Number(prefix), family);
  }
  return list;
}

/** IPv4 as such where the socket speaks both. */
function addressOf(socket: Socket): string {
  const address = socket.remoteAddress ?? "unknown";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

function ignore(): void {}
