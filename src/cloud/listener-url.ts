/** What `--listen` takes: a listener as one URL. */
import { isIP } from "node:net";
import type { ProxyOptions } from "../adapters/net/mod.ts";
import { TidewireError } from "../base/mod.ts";

export type ListenerKind = "mqtt" | "mqtts" | "ws" | "wss";

export type ListenerAuth = "certificate" | "password" | "jwt" | "none";

export interface ListenerUrl {
  readonly kind: ListenerKind;
  readonly host: string;
  readonly port: number;
  /** How clients say who they are. `none`: without encryption and login, for whoever reaches it. */
  readonly auth: ListenerAuth;
  readonly proxy: ProxyOptions | null;
}

const URL_FORM = /^(mqtts?|wss?):\/\/(\[[0-9a-fA-F:.]+\]|[^:/?#[\]]+):(\d{1,5})(\/mqtt|\/)?(?:\?([^#]*))?$/;
const LOOPBACK: readonly string[] = ["127.0.0.1", "::1"];
/** Long on purpose: nobody writes it by accident. */
const EXPOSED = "yes-without-encryption";
const PARAMETERS = ["auth", "exposed", "proxy", "from"];

const AUTHS: readonly string[] = ["password", "jwt", "none"] satisfies readonly ListenerAuth[];

/**
 * Reads `mqtts://[::]:8884?proxy=v2&from=192.0.2.0/24`, `mqtt://127.0.0.1:1883?auth=none`. With
 * `?auth=password` or `?auth=jwt` devices without a certificate log in by CONNECT. Without TLS there is no login, so such a
 * listener has to say so, and stays on loopback unless it says that too. Throws CONFIG_VALUE_INVALID.
 */
export function listenerUrlOf(text: string): ListenerUrl {
  const wrong = (reason: string): TidewireError =>
    new TidewireError("CONFIG_VALUE_INVALID", {
      file: "the command line",
      key: `listen ${text}`,
      reason,
      command: "up",
    });
  const parts = URL_FORM.exec(text);
  if (parts === null) throw wrong("it is not of the form mqtt|mqtts|ws|wss://ADDRESS:PORT, with ?parameters");
  const [, kind, bracketed, digits, path, query] = parts as unknown as [
    string,
    ListenerKind,
    string,
    string,
    string?,
    string?,
  ];
  const [host, port] = [bracketed.replace(/^\[|\]$/g, ""), Number(digits)];
  if (port > 65_535) throw wrong("a port is a number from 0 to 65535");
  if (path === "/mqtt" && !kind.startsWith("ws")) throw wrong("only WebSocket has a path");
  if (isIP(host) === 0) throw wrong("it needs an address, such as 127.0.0.1 or [::1], not a name");
  const parameters = parametersOf(query ?? "", wrong);
  const auth = (parameters.get("auth") ?? "certificate") as ListenerAuth;
  const anonymous = auth === "none";
  const secure = kind === "mqtts" || kind === "wss";
  if (secure && (anonymous || parameters.has("exposed"))) {
    throw wrong("a listener with TLS lets nobody in without login; it takes neither ?auth=none nor ?exposed");
  }
  if (!secure && (auth === "password" || auth === "jwt")) {
    const tls = kind === "ws" ? "wss" : "mqtts";
    throw wrong(`passwords and tokens never go over the network in the clear: use ${tls}://…?auth=${auth}`);
  }
  if (!secure && !anonymous) throw wrong("a listener without certificates must say ?auth=none");
  const exposed = parameters.get("exposed");
  if (exposed !== undefined && exposed !== EXPOSED) throw wrong(`?exposed can only be ${EXPOSED}`);
  if (anonymous && !LOOPBACK.includes(host) && exposed === undefined) {
    throw wrong(
      `a listener without certificates may only be on 127.0.0.1 or [::1]; whoever reaches it may do everything, and only ?exposed=${EXPOSED} opens it to others`,
    );
  }
  return { kind, host, port, auth, proxy: proxyOf(parameters, wrong) };
}

/** `text` again, for people. */
export function shownUrl({ kind, host }: Pick<ListenerUrl, "kind" | "host">, port: number): string {
  return `${kind}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

type Wrong = (reason: string) => Error;

function parametersOf(query: string, wrong: Wrong): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (!PARAMETERS.includes(name)) throw wrong(`'${name}' is no parameter; there are ${PARAMETERS.join(", ")}`);
    if (found.has(name)) throw wrong(`?${name} comes twice`);
    found.set(name, value);
  }
  const auth = found.get("auth");
  if (auth !== undefined && !AUTHS.includes(auth)) throw wrong(`?auth can only be ${AUTHS.join(", ")}`);
  return found;
}

function proxyOf(parameters: ReadonlyMap<string, string>, wrong: Wrong): ProxyOptions | null {
  const [version, from] = [parameters.get("proxy"), parameters.get("from")];
  if (version === undefined && from === undefined) return null;
  if (version !== "v1" && version !== "v2") throw wrong("?proxy must be v1 or v2 (PROXY protocol)");
  if (from === undefined || from === "") {
    throw wrong("?proxy needs ?from with the proxies' addresses, such as from=10.0.0.0/8,192.0.2.7");
  }
  const networks = from.split(",");
  const bad = networks.find((network) => !isNetwork(network));
  if (bad !== undefined) throw wrong(`'${bad}' in ?from is no address and no network`);
  return { version, from: networks };
}

function isNetwork(text: string): boolean {
  const [address, prefix, more] = text.split("/") as [string, string?, string?];
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}
