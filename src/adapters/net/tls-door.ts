/** The TLS part of a listener: handshakes, what protocol the client asked for, and who its certificate says it is. */
import { constants, hash } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket, createServer } from "node:tls";
import type { SecureVersion, Server } from "node:tls";
import type { Clock, Millis } from "../../base/mod.ts";
import { handshakeFault } from "./handshake-fault.ts";
import type { ShownCertificate } from "./listener-refusals.ts";
import { trustEachCa } from "./trust-anchors.ts";

/** PEM texts. */
export interface TlsMaterial {
  readonly key: string | Uint8Array;
  readonly cert: string | Uint8Array;
  /** CAs that issue client certificates; each is trusted by itself, also one below another. */
  readonly ca: string | Uint8Array | readonly (string | Uint8Array)[];
  /** Default TLS 1.2. */
  readonly minVersion?: SecureVersion;
}

export type ClientCertificate = "required" | "requested" | "none";

export type Protocol = "mqtt" | "http";

/** What the handshake proved. */
export type Credential =
  | { readonly kind: "certificate"; readonly certificateId: string }
  | { readonly kind: "none" }
  /** A certificate came, and nobody may be let in for it. */
  | {
      readonly kind: "unusable";
      readonly reason: string;
      readonly hint: string;
      /** Null: not even that was proved. */
      readonly certificateId: string | null;
    };

export interface TlsDoorOptions {
  readonly material: TlsMaterial;
  /**
   * `requested`: who has none still gets in, which browsers need; the broker turns such MQTT clients away. `none`: nobody
   * is asked for one, because clients prove otherwise who they are.
   */
  readonly clientCertificate: ClientCertificate;
  readonly sessionTickets: boolean;
  readonly protocols: readonly Protocol[];
  readonly handshakeTimeout: Millis;
  readonly clock: Clock;
  /**
   * Whether somebody may come whose certificate's issuer is not known here. Then handshakes of `required` doors succeed that
   * otherwise would not, and who opened looks at the credential; else clients get a TLS alert that tells them why.
   */
  readonly unverifiedExpected?: (address: string) => boolean;
  /** `protocol` null: the client named none. */
  opened(socket: TLSSocket, protocol: Protocol | null, credential: Credential): void;
  failed(socket: TLSSocket, reason: string, hint: string, error: unknown): void;
}

/** By what ALPN calls them; AWS IoT's SDKs offer the names with `x-amzn`. A client that offers none is served too. */
const ALPN: Readonly<Record<Protocol, readonly string[]>> = {
  mqtt: ["x-amzn-mqtt-ca", "mqtt"],
  http: ["http/1.1", "x-amzn-http-ca"],
};

/**
 * The hybrid group first: what is recorded today must not be readable once somebody has a quantum computer. A slash is
 * where OpenSSL would rather ask the client once more than go on to what follows.
 */
const KEY_EXCHANGE = "X25519MLKEM768 / X25519:prime256v1:secp384r1";

const NO_CERTIFICATE: Credential = { kind: "none" };

export class TlsDoor {
  readonly #options: TlsDoorOptions;
  readonly #server: Server;
  /** Ends the handshake of nobody for his certificate's issuer; null where that is all the same. */
  readonly #lenient: Server | null;

  constructor(options: TlsDoorOptions) {
    this.#options = options;
    const strict = options.clientCertificate === "required";
    this.#server = this.#serverThat(strict);
    this.#lenient = strict && options.unverifiedExpected !== undefined ? this.#serverThat(false) : null;
  }

  arrived(socket: Socket, address: string): void {
    const lenient = this.#lenient !== null && this.#options.unverifiedExpected?.(address) === true;
    (lenient ? this.#lenient : this.#server).emit("connection", socket);
  }

  #serverThat(rejectUnauthorized: boolean): Server {
    const options = this.#options;
    const server = createServer({
      ...this.#contextOf(options.material),
      requestCert: options.clientCertificate !== "none",
      rejectUnauthorized,
      ALPNProtocols: options.protocols.flatMap((protocol) => ALPN[protocol]),
      handshakeTimeout: options.handshakeTimeout,
    });
    trustEachCa(server);
    server.on("secureConnection", (socket) => {
      socket.on("error", ignore); // whoever serves the socket is told by "close"
      options.opened(socket, this.#protocolOf(socket), this.#credentialOf(socket));
    });
    server.on("tlsClientError", (error, socket) => {
      const fault = handshakeFault(error, socket.authorizationError);
      options.failed(socket, fault.reason, fault.hint, error);
      socket.destroy();
    });
    return server;
  }

  /** For new handshakes. Tickets of the old context are worth nothing any more, so nobody comes back by one of them. */
  reload(material: TlsMaterial): void {
    for (const server of [this.#server, this.#lenient]) {
      if (server === null) continue;
      server.setSecureContext(this.#contextOf(material));
      trustEachCa(server);
    }
  }

  /** Throws where key and certificate do not fit, or are none. */
  #contextOf(material: TlsMaterial) {
    const text = (pem: string | Uint8Array): string => (typeof pem === "string" ? pem : Buffer.from(pem).toString());
    const ca = (Array.isArray(material.ca) ? material.ca : [material.ca]).map((one: string | Uint8Array) => text(one));
    return {
      key: text(material.key),
      cert: text(material.cert),
      ca,
      minVersion: material.minVersion ?? "TLSv1.2",
      ecdhCurve: KEY_EXCHANGE,
      // What OpenSSL sends in their place under TLS 1.3 costs nothing, and is worth nothing: no session is kept here.
      secureOptions: this.#options.sessionTickets ? 0 : constants.SSL_OP_NO_TICKET,
    } as const;
  }

  #protocolOf({ alpnProtocol }: TLSSocket): Protocol | null {
    if (typeof alpnProtocol !== "string") return null;
    return ALPN.mqtt.includes(alpnProtocol) ? "mqtt" : "http";
  }

  /** The handshake proved the private key; now the certificate itself: a resumed session has not been verified again. */
  #credentialOf(socket: TLSSocket): Credential {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return NO_CERTIFICATE;
    const certificateId = hash("sha256", certificate.raw, "hex");
    if (!socket.authorized) {
      return { kind: "unusable", ...handshakeFault(null, socket.authorizationError), certificateId };
    }
    if (this.#options.clock.now() >= certificate.validToDate.getTime()) {
      const hint = "the client's certificate has expired: issue a new one";
      return { kind: "unusable", reason: "certificate-expired", hint, certificateId };
    }
    return { kind: "certificate", certificateId };
  }
}

/** After the handshake, which has proved that the client holds the key; null where no certificate came. */
export function shownBy(socket: Socket): ShownCertificate | null {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (certificate === undefined) return null;
  const certificateId = hash("sha256", certificate.raw, "hex");
  return { certificateId, subject: certificate.subject.replaceAll("\n", ", ") };
}

/** Of a chain that TLS sends at most. */
const CHAIN_LENGTH_MAX = 16;

/**
 * DER of the client's certificate and of what it sent along. Node has the latter only of chains that lead to no trusted root;
 * of others there is the certificate alone.
 */
export function chainShownBy(socket: Socket): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let next = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  for (; next !== undefined && chain.length < CHAIN_LENGTH_MAX; next = next.issuerCertificate) chain.push(next.raw);
  return chain;
}

function ignore(): void {}
