/** Where a broker is, as one URL: `mqtt://`, `mqtts://`, `ws://`, `wss://`. */

export interface BrokerCredentials {
  /** PEM texts. Without `ca` the machine's own list of CAs holds. */
  readonly ca?: string;
  readonly certificate?: string;
  readonly privateKey?: string;
  /** Of the request that opens a WebSocket. */
  readonly bearer?: string;
}

export interface BrokerAddress {
  readonly url: string;
  readonly secure: boolean;
  readonly webSocket: boolean;
  readonly host: string;
  readonly port: number;
  /** Path and query of a WebSocket. */
  readonly path: string;
}

const PORTS: Readonly<Record<string, number>> = { "mqtt:": 1883, "mqtts:": 8883, "ws:": 80, "wss:": 443 };

/** Null where it is none of these, or names a user: passwords in addresses end up in lists of processes. */
export function brokerAddress(text: string): BrokerAddress | null {
  if (!/^(?:mqtts?|wss?):\/\//i.test(text)) return null;
  // Only web schemes are parsed with host and port in all their forms.
  const scheme = `${text.slice(0, text.indexOf("://")).toLowerCase()}:`;
  const secure = scheme === "mqtts:" || scheme === "wss:";
  const webSocket = scheme === "ws:" || scheme === "wss:";
  const form = `${secure ? "https" : "http"}${text.slice(text.indexOf("://"))}`;
  if (!URL.canParse(form)) return null;
  const { hostname, port, pathname, search, username } = new URL(form);
  if (username !== "") return null;
  // What a URL leaves out as its scheme's own default was named here all the same.
  const named = /^[^/]+:\/\/(?:\[[^\]]*\]|[^:/?#]*):(\d+)/.exec(text)?.[1];
  const path = pathname === "/" ? "/mqtt" : pathname;
  return {
    url: text,
    secure,
    webSocket,
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? Number(named ?? PORTS[scheme]) : Number(port),
    path: `${path}${search}`,
  };
}
