/**
 * The agent's way to the broker: TLS 1.2 or newer, both sides with certificates, the server's verified against our CA and
 * its name. Key, certificate and CA are asked for anew at each attempt, so a renewed certificate needs no restart.
 */
import type { TcpNetConnectOpts } from "node:net";
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { reasonOf, seconds } from "../../base/mod.ts";
import type { CloseCause, CloseKind, OpenUplinkSocket, UplinkEvents, UplinkSocket } from "../../queue/mod.ts";

export interface UplinkSocketOptions {
  readonly host: string;
  readonly port: number;
  /** May throw; then the attempt has failed. */
  readonly credentials: () => UplinkCredentials;
}

/** PEM texts. */
export interface UplinkCredentials {
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
}

/**
 * Time for one of several addresses of a name before the next is tried. Node's own default (250 ms) is less than one round
 * trip over a satellite or a busy cell, and would fail there for ever.
 */
const ADDRESS_TIMEOUT = seconds(3);
/** What a goodbye may take before the socket is torn down. */
const LEAVE_TIMEOUT = seconds(2);
/** AWS IoT takes MQTT on port 443 only where the client names it so. */
const ALPN_ON_443 = ["x-amzn-mqtt-ca"];

export function uplinkSockets(options: UplinkSocketOptions): OpenUplinkSocket {
  return (events) => {
    const socket = tryConnect(options);
    if ("kind" in socket) return failed(socket, events);
    return attach(socket, events);
  };
}

function tryConnect(options: UplinkSocketOptions): TLSSocket | CloseCause {
  const { host, port } = options;
  // Node hands these to net.connect; its types leave this one out of tls.connect's.
  const addresses: TcpNetConnectOpts = { host, port, autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT };
  try {
    const { certificate: cert, privateKey: key, ca } = options.credentials();
    return connect({
      ...addresses,
      cert,
      key,
      ca,
      // An address is no server name (RFC 6066 section 3); it is verified all the same, against the certificate's addresses.
      servername: isIP(host) === 0 ? host : "",
      minVersion: "TLSv1.2",
      rejectUnauthorized: true,
      ...(port === 443 ? { ALPNProtocols: ALPN_ON_443 } : {}),
    });
  } catch (error) {
    return { kind: "credentials", detail: firstLine(reasonOf(error)) };
  }
}

function failed(cause: CloseCause, events: UplinkEvents): UplinkSocket {
  setImmediate(() => events.closed(cause));
  return { write: () => {}, end: () => {}, destroy: () => {} };
}

function attach(socket: TLSSocket, events: UplinkEvents): UplinkSocket {
  let failure: Error | null = null;
  socket.setNoDelay(true);
  socket.on("secureConnect", () => events.opened());
  socket.on("data", (chunk: Buffer) => events.received(chunk));
  socket.on("error", (error) => (failure ??= error));
  socket.on("close", () => events.closed(failure === null ? ENDED : closeCauseOf(failure)));
  return {
    write: (bytes) => {
      // The callback comes also when the write fails; "close" tells about that.
      socket.write(bytes, () => events.written(bytes));
    },
    end: () => {
      const timer = setTimeout(() => socket.destroy(), LEAVE_TIMEOUT);
      socket.once("close", () => clearTimeout(timer));
      socket.destroySoon();
    },
    destroy: () => {
      socket.destroy();
    },
  };
}

const ENDED: CloseCause = { kind: "ended", detail: "closed by the other side" };

/** Sorts Node's and OpenSSL's error codes by what a human has to do about them. */
export function closeCauseOf(error: Error): CloseCause {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const detail = firstLine(error.message === "" ? code : error.message);
  return { kind: kindOf(code), detail };
}

const KINDS: ReadonlyMap<string, CloseKind> = new Map([
  ["ENOTFOUND", "unresolved"],
  ["ECONNREFUSED", "refused"],
  ["EHOSTUNREACH", "unreachable"],
  ["ENETUNREACH", "unreachable"],
  ["EHOSTDOWN", "unreachable"],
  ["ENETDOWN", "unreachable"],
  ["EADDRNOTAVAIL", "unreachable"],
  ["ETIMEDOUT", "unreachable"],
  ["ECONNRESET", "reset"],
  ["ECONNABORTED", "reset"],
  ["EPIPE", "reset"],
  // Verification of the server's certificate, see "X509 certificate error codes" in Node's tls documentation.
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "server-certificate"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "server-certificate"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "server-certificate"],
  ["ERR_TLS_CERT_ALTNAME_FORMAT", "server-certificate"],
  ["HOSTNAME_MISMATCH", "server-certificate"],
  ["INVALID_CA", "server-certificate"],
  ["INVALID_PURPOSE", "server-certificate"],
  ["PATH_LENGTH_EXCEEDED", "server-certificate"],
]);

function kindOf(code: string): CloseKind {
  const known = KINDS.get(code);
  if (known !== undefined) return known;
  if (/^(?:CERT_|UNABLE_TO_|CRL_|ERROR_IN_CERT_)/.test(code)) return "server-certificate";
  // RFC 8446 section 6.2: alerts with which a server turns a client's certificate away.
  if (/ALERT.*(?:CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) return "client-certificate";
  if (code.startsWith("EAI_")) return "unresolved";
  if (/SSL|TLS|EPROTO/.test(code)) return "tls";
  return "reset";
}

function firstLine(text: string): string {
  return text.split("\n")[0]!.slice(0, 200);
}
