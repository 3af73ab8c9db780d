/** Servers that are spoken to in a protocol of their own: where, who logs in, and whether in TLS. */
import type { JsonObject } from "../../base/mod.ts";
import { SECRET_CHARS_MAX, optionalText, present, serverUrl } from "./checks.ts";
import type { Given } from "./checks.ts";
import type { SecretChange } from "./kind.ts";

export interface ServerBody {
  /** `scheme://host[:port][/path]`; TLS by the scheme. */
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
}

export const SERVER_KEYS = ["url", "user", "password"] as const;

/** Schemes of one protocol: without TLS, and with it. */
export type Schemes = readonly [plain: string, tls: string];

export function validateServer(given: Given, at: string, schemes: Schemes): ServerBody {
  return present({
    url: serverUrl(given["url"], `${at}.url`, schemes).href,
    user: optionalText(given["user"], `${at}.user`, 256),
    password: optionalText(given["password"], `${at}.password`, SECRET_CHARS_MAX),
  });
}

export function mapServerSecrets<B extends ServerBody>(body: B, change: SecretChange): B {
  return body.password === undefined ? body : { ...body, password: change(body.password, "***", "password") };
}

/** What the sender of the protocol needs. */
export function serverSettings({ url, user, password }: ServerBody, schemes: Schemes, port: number): JsonObject {
  const at = new URL(url);
  return {
    host: at.hostname.replace(/^\[|\]$/g, ""),
    port: at.port === "" ? port : Number(at.port),
    tls: at.protocol === `${schemes[1]}:`,
    path: decodeURIComponent(at.pathname.replace(/^\//, "")),
    ...present({ user, password }),
  };
}

export function serverLabel({ url }: ServerBody): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}
