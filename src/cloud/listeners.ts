/** All that the platform listens on: MQTT and HTTPS over TLS, plain HTTP on loopback, and what `--listen` adds. */
import { readFileSync, statSync } from "node:fs";
import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { ConnectionCounts, MqttWebSockets, listenMqtt, listenMqttWebSocket } from "../adapters/net/mod.ts";
import type { MqttListener, MqttListenerOptions, TlsMaterial, Visitor } from "../adapters/net/mod.ts";
import type { ServerNames } from "../adapters/pki/mod.ts";
import { TidewireError, isTidewireError, reasonOf, seconds } from "../base/mod.ts";
import { refuseForeignPage } from "./api/guard.ts";
import type { ApiServer, TakeUpgrade } from "./api/server.ts";
import type { PlatformConfig } from "./config.ts";
import type { Foundation } from "./foundation.ts";
import type { Ingest } from "./ingest.ts";
import { bearerAccountOf, signerOf } from "./logins/mod.ts";
import { listenerUrlOf, shownUrl } from "./listener-url.ts";
import type { ListenerUrl } from "./listener-url.ts";
import type { Teardown } from "./teardown.ts";

/** How long clients may take to go once they have been told that the platform stops. */
const CLOSE_GRACE = seconds(1);
/** On the plain listener nobody can say who he is. */
const PLAIN: Visitor = {
  remoteAddress: "127.0.0.1",
  credential: {
    kind: "unusable",
    reason: "no-certificate",
    certificateId: null,
    hint: "MQTT over WebSocket is on the HTTPS port, for clients with a certificate; for tests there is --listen ws://127.0.0.1:PORT?auth=none",
  },
};

export interface OpenPorts {
  readonly mqtts: number;
  readonly https: number;
  readonly http: number;
  /** URLs of those that `--listen` added. */
  readonly listen: readonly string[];
}

export class Listeners {
  readonly #config: PlatformConfig;
  readonly #base: Foundation;
  readonly #ingest: Ingest;
  readonly #names: ServerNames;
  readonly #ownNames: ReadonlySet<string>;
  readonly #counts = new ConnectionCounts();
  readonly #webSockets: MqttWebSockets;
  readonly #visitors = new WeakMap<Socket, Visitor>();
  readonly #open: { readonly listener: MqttListener; readonly tls: boolean }[] = [];
  readonly #used = new Map<string, number>();
  #api: ApiServer | null = null;
  #material: TlsMaterial | null = null;
  /** What the files looked like when they were last read. */
  #stamp = "";

  constructor(config: PlatformConfig, base: Foundation, ingest: Ingest, names: ServerNames) {
    this.#config = config;
    this.#base = base;
    this.#ingest = ingest;
    this.#names = names;
    this.#ownNames = new Set([...names.names, ...names.addresses].map((name) => name.toLowerCase()));
    // A certificate of ours is good for our names only, so a page of another name cannot get this far.
    const objection = (request: IncomingMessage): string | null => objectionOf(request, null);
    this.#webSockets = new MqttWebSockets({ ...this.#shared(), name: "websocket", objection });
  }

  /** Hands the upgrades to MQTT that the HTTP server meets. */
  readonly takeUpgrade: TakeUpgrade = (request, socket, head) => {
    if (!MqttWebSockets.isMeant(request)) return false;
    const visitor = this.#visitors.get(socket) ?? PLAIN;
    this.#webSockets.upgrade(request, socket, head, this.#signer(request, visitor));
    return true;
  };

  /** Who is at the other end of a connection that the HTTP server has. */
  readonly visitorOf = (socket: Socket): Visitor => this.#visitors.get(socket) ?? PLAIN;

  /** Who has no certificate may have signed the request, as AWS's SDKs do, or carry a token, as our command line does. */
  #signer(request: IncomingMessage, visitor: Visitor): Visitor {
    if (visitor.credential.kind === "certificate") return visitor;
    const bearer = bearerAccountOf(request, visitor.remoteAddress, this.#base.people);
    if (bearer !== null) {
      if ("principal" in bearer) return { ...visitor, credential: { kind: "none" }, principal: bearer.principal };
      return { ...visitor, credential: { kind: "unusable", ...bearer, certificateId: null } };
    }
    if (visitor.credential.kind !== "none") return visitor;
    const signer = signerOf(request, visitor.remoteAddress, this.#base);
    if (signer === null) return visitor;
    if ("principal" in signer) return { ...visitor, principal: signer.principal };
    return { ...visitor, credential: { kind: "unusable", ...signer, certificateId: null } };
  }

  /** Opens everything. Throws PORT_IN_USE, PORT_FORBIDDEN, CONFIG_VALUE_INVALID; `teardown` ends what is open by then. */
  async open(api: ApiServer, teardown: Teardown): Promise<OpenPorts> {
    this.#api = api;
    this.#material = await this.#readMaterial();
    this.#stamp = this.#stampOfFiles();
    teardown.add("listeners", () => this.#close());
    const { bind, mqttsPort, httpsPort, httpPort } = this.#config;
    const together = mqttsPort === httpsPort && mqttsPort !== 0;
    const secure = { host: bind, auth: "certificate", proxy: null } as const;
    const mqtts = await this.#listenTls({ ...secure, kind: "mqtts", port: mqttsPort }, "--mqtts-port", together);
    const https = together
      ? mqtts
      : await this.#listenTls({ ...secure, kind: "wss", port: httpsPort }, "--https-port", false, "https");
    const http = await api.listen({ httpPort });
    const listen: string[] = [];
    for (const text of this.#config.listen) listen.push(await this.#listenMore(listenerUrlOf(text)));
    return { mqtts: mqtts.port, https: https.port, http, listen };
  }

  /**
   * Reads the server's certificate and the clients' CAs again; new handshakes go by them, open connections stay. Where they
   * cannot be used, what was there stays in force, and the log says why.
   */
  async reload(why: string): Promise<void> {
    const { logger } = this.#base;
    try {
      const material = await this.#readMaterial();
      if (sameMaterial(material, this.#material)) return;
      for (const { listener, tls } of this.#open) if (tls) listener.reload(material);
      this.#material = material;
      logger.info("The listeners use new certificates.", { audit: true, why });
    } catch (error) {
      logger.error("The new certificates cannot be used; the old ones stay.", { why, reason: reasonOf(error) });
    }
  }

  /** The same, if a file has been written or replaced since the last look. */
  async reloadIfChanged(): Promise<void> {
    const now = this.#stampOfFiles();
    if (now === this.#stamp) return;
    this.#stamp = now;
    await this.reload("a file has changed");
  }

  #stampOfFiles(): string {
    const own = ["server.key", "server.crt"].map((name) => join(this.#config.data, "secrets", name));
    const stamp = (path: string): string => {
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? "none" : `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
    };
    return [...own, ...this.#config.clientCas].map(stamp).join("; ");
  }

  async #readMaterial(): Promise<TlsMaterial> {
    const { authority } = this.#base;
    const { keyPem, chainPem } = await authority.serverCertificate(this.#names);
    const ca = [
      ...authority.clientCas,
      ...this.#base.authorities.active().map(({ pem }) => pem),
      ...this.#config.clientCas.map(readCertificates),
    ];
    return { key: keyPem, cert: chainPem, ca };
  }

  #shared(): Omit<MqttListenerOptions, "host" | "port" | "portOption"> {
    const { clock, logger, metrics, gatekeeper, standalone, authorities } = this.#base;
    const { broker, justInTime } = this.#ingest;
    return {
      clock,
      logger,
      metrics,
      admitPeer: (certificateId) => gatekeeper.admitPeer(certificateId),
      onRefused: (refusal) => {
        this.#base.refusalNotes.ofListener(refusal);
        this.#base.listenerAudit.note(refusal);
      },
      unverified: {
        expected: () => standalone.expected() || authorities.expected(),
        admits: (certificateId) => standalone.admits(certificateId) || authorities.admits(certificateId),
      },
      newcomer: justInTime.came,
      accept: (transport, peer) => broker.accept(transport, peer),
      limits: this.#base.limits.mqtt,
      counts: this.#counts,
    };
  }

  async #listenTls(
    at: ListenerUrl,
    portOption: string,
    together: boolean,
    name: string = at.kind,
  ): Promise<MqttListener> {
    const strict = at.kind === "mqtts" && !together;
    const listener = await listenMqtt({
      ...this.#shared(),
      ...(at.proxy === null ? {} : { proxy: at.proxy }),
      name: this.#unique(name),
      host: at.host,
      port: at.port,
      portOption,
      tls: this.#material!,
      clientCertificate: strict ? "required" : "requested", // browsers have none
      sessionTickets: !strict || this.#config.mqttSessionTickets, // browsers come back by them
      unnamed: together ? "first-byte" : at.kind === "mqtts" ? "mqtt" : "http",
      http: (socket, visitor) => {
        this.#visitors.set(socket, visitor);
        this.#api!.take(socket);
      },
    });
    this.#open.push({ listener, tls: true });
    return listener;
  }

  async #listenMore(at: ListenerUrl): Promise<string> {
    if (at.auth === "certificate") {
      const { port } = await this.#listenTls(at, "--listen", false);
      return shownUrl(at, port);
    }
    if (at.auth !== "none") return this.#listenForLogins(at, at.auth);
    const options: MqttListenerOptions = {
      ...this.#shared(),
      ...(at.proxy === null ? {} : { proxy: at.proxy }),
      name: this.#unique(at.kind),
      host: at.host,
      port: at.port,
      portOption: "--listen",
      anonymous: true,
      admitPeer: () => ({ ok: false, reason: "this listener takes no certificates" }),
    };
    // Any page in a browser on this machine could speak to it otherwise.
    const objection = (request: IncomingMessage): string | null => objectionOf(request, this.#ownNames);
    const listener = await (at.kind === "ws"
      ? listenMqttWebSocket({ ...options, name: options.name!, objection })
      : listenMqtt(options));
    this.#open.push({ listener, tls: false });
    this.#warn(shownUrl(at, listener.port), at.host);
    return shownUrl(at, listener.port);
  }

  /** For devices without a certificate. Nothing but MQTT is served there. */
  async #listenForLogins(at: ListenerUrl, login: "password" | "jwt"): Promise<string> {
    const options: MqttListenerOptions = {
      ...this.#shared(),
      ...(at.proxy === null ? {} : { proxy: at.proxy }),
      name: this.#unique(`${at.kind}-${login}`),
      host: at.host,
      port: at.port,
      portOption: "--listen",
      tls: this.#material!,
      clientCertificate: "none",
      sessionTickets: at.kind === "wss" || this.#config.mqttSessionTickets,
      login,
    };
    // A page of another site has no password that a browser would add for it.
    const listener = await (at.kind === "wss"
      ? listenMqttWebSocket({ ...options, name: options.name!, objection: () => null })
      : listenMqtt(options));
    this.#open.push({ listener, tls: true });
    return shownUrl(at, listener.port);
  }

  #warn(url: string, host: string): void {
    const reach = host === "127.0.0.1" || host === "::1" ? "on this machine" : "WHO REACHES THIS MACHINE";
    this.#base.logger.warn("A LISTENER WITHOUT ENCRYPTION AND WITHOUT LOGIN is open, because --listen asked for it.", {
      url,
      audit: true,
    });
    process.stderr.write(
      `tidewire: WARNING: ${url} takes anybody ${reach} without encryption or login (--listen …?auth=none).\n`,
    );
  }

  /** A name for metrics that no other listener has. */
  #unique(kind: string): string {
    const count = (this.#used.get(kind) ?? 0) + 1;
    this.#used.set(kind, count);
    return count === 1 ? kind : `${kind}-${count}`;
  }

  /** Takes nobody new, tells everybody who is there, then waits for them to go. */
  async #close(): Promise<void> {
    const closed = this.#open.map(({ listener }) => listener.close(CLOSE_GRACE));
    await Promise.all([...closed, this.#ingest.broker.close(), this.#api?.close()]);
  }
}

function objectionOf(request: IncomingMessage, ownNames: ReadonlySet<string> | null): string | null {
  try {
    refuseForeignPage(request, ownNames);
    return null;
  } catch (error) {
    if (isTidewireError(error)) return error.message;
    throw error;
  }
}

/** The certificates of a PEM file. Throws CONFIG_VALUE_INVALID. */
function readCertificates(path: string): string {
  try {
    const blocks =
      readFileSync(path, "utf8").match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length === 0) throw new Error("it holds no certificate");
    for (const block of blocks)
      if (!new X509Certificate(block).ca) throw new Error("a certificate in it is not a CA's");
    return blocks.join("\n");
  } catch (error) {
    const reason = `${path}: ${reasonOf(error)}`;
    throw new TidewireError("CONFIG_VALUE_INVALID", {
      file: "The configuration",
      key: "clientCas",
      reason,
      command: "up",
    });
  }
}

function sameMaterial(a: TlsMaterial, b: TlsMaterial | null): boolean {
  return b !== null && a.key === b.key && a.cert === b.cert && String(a.ca) === String(b.ca);
}
