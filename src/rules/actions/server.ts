/** Servers that are spoken to in a protocol of their own: where, who logs in, and whom we trust in TLS. */
import type { JsonObject } from "../../base/mod.ts";
import { SECRET_CHARS_MAX, invalid, optionalText, present, serverUrl } from "./checks.ts";
import type { Given } from "./checks.ts";
import type { SecretChange } from "./kind.ts";

export interface ServerBody {
  /** `scheme://host[:port][/path]`; TLS by the scheme. */
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /**
   * CAs of which the server's certificate must be, instead of the system's. This, `certificate` and `privateKey` are PEM, or the
   * name of a PEM file that the operator has put into the platform's `certificates` folder: it is read with each new connection.
   */
  readonly ca?: string;
  /** Whom we are, to a server that asks for it. Only together. */
  readonly certificate?: string;
  readonly privateKey?: string;
  /** The name that the server's certificate must have, where it is not the one in `url`. */
  readonly serverName?: string;
}

const TLS_KEYS = ["ca", "certificate", "privateKey", "serverName"] as const;
export const SERVER_KEYS = ["url", "user", "password", ...TLS_KEYS] as const;

/** Schemes of one protocol: without TLS, and with it. */
export type Schemes = readonly [plain: string, tls: string];

const PEM = /^\s*-----BEGIN [A-Z0-9 ]+-----\r?\n[\s\S]+-----END [A-Z0-9 ]+-----\s*$/;
const FILE_NAME = /^[0-9A-Za-z_][0-9A-Za-z._-]{0,127}$/;
/** A company's CAs. */
const CA_CHARS_MAX = 65_536;
const CERTIFICATE_CHARS_MAX = 16_384;

/** `startTls`: the scheme without TLS may go over to it, too. */
export function validateServer(given: Given, at: string, schemes: Schemes, startTls = false): ServerBody {
  const url = serverUrl(given["url"], `${at}.url`, schemes);
  const wants = TLS_KEYS.find((key) => given[key] !== undefined);
  if (wants !== undefined && !startTls && url.protocol !== `${schemes[1]}:`) {
    throw invalid(`${at}.${wants}`, `it is for TLS, and the address has none; write ${schemes[1]}://`);
  }
  const [certificate, privateKey] = [
    pem(given["certificate"], `${at}.certificate`, CERTIFICATE_CHARS_MAX),
    pem(given["privateKey"], `${at}.privateKey`, SECRET_CHARS_MAX),
  ];
  if ((certificate === undefined) !== (privateKey === undefined)) {
    const missing = certificate === undefined ? "certificate" : "privateKey";
    throw invalid(`${at}.${missing}`, "certificate and privateKey belong together, and it is missing");
  }
  return present({
    url: url.href,
    user: optionalText(given["user"], `${at}.user`, 256),
    password: optionalText(given["password"], `${at}.password`, SECRET_CHARS_MAX),
    ca: pem(given["ca"], `${at}.ca`, CA_CHARS_MAX),
    certificate,
    privateKey,
    serverName: optionalText(given["serverName"], `${at}.serverName`, 253),
  });
}

function pem(input: unknown, at: string, charsMax: number): string | undefined {
  const given = optionalText(input, at, charsMax);
  // `***` stands for a key that the rule has.
  if (given === undefined || isPem(given) || FILE_NAME.test(given) || given === "***") return given;
  throw invalid(at, "it must be PEM (-----BEGIN …), or the name of a file of `certificates` in the data folder");
}

/** Else it names a file. */
export function isPem(text: string): boolean {
  return PEM.test(text);
}

export function mapServerSecrets<B extends ServerBody>(body: B, change: SecretChange): B {
  return {
    ...body,
    ...(body.password === undefined ? {} : { password: change(body.password, "***", "password") }),
    ...(body.privateKey === undefined ? {} : { privateKey: change(body.privateKey, "***", "privateKey") }),
  };
}

/** What the sender of the protocol needs. */
export function serverSettings(body: ServerBody, schemes: Schemes, port: number): JsonObject {
  const { url, user, password, ca, certificate, privateKey, serverName } = body;
  const at = new URL(url);
  return {
    host: at.hostname.replace(/^\[|\]$/g, ""),
    port: at.port === "" ? port : Number(at.port),
    tls: at.protocol === `${schemes[1]}:`,
    path: decodeURIComponent(at.pathname.replace(/^\//, "")),
    ...present({ user, password, ca, certificate, privateKey, serverName }),
  };
}

export function serverLabel({ url }: ServerBody): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}
