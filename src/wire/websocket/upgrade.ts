/** The opening handshake as MQTT uses it: RFC 6455 section 4.2.1, MQTT 5.0 section 6 and MQTT 3.1.1 section 6. */

export interface UpgradeRequest {
  readonly method?: string | undefined;
  readonly httpVersion: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export type UpgradeVerdict =
  | { readonly ok: true; readonly key: string; readonly subprotocol: Subprotocol }
  | { readonly ok: false; readonly status: 400 | 426; readonly reason: string };

/** In our order of preference; the second is the name that clients used before there was a standard. */
const SUBPROTOCOLS = ["mqtt", "mqttv3.1"] as const;
type Subprotocol = (typeof SUBPROTOCOLS)[number];

/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;
/** The one version that ever was. */
const VERSION = "13";

export function judgeUpgrade({ method, httpVersion, headers }: UpgradeRequest): UpgradeVerdict {
  const refuse = (reason: string, status: 400 | 426 = 400): UpgradeVerdict => ({ ok: false, status, reason });
  if (method !== "GET") return refuse("a WebSocket is opened with GET");
  if (httpVersion !== "1.1") return refuse("a WebSocket is opened with HTTP/1.1");
  if (textOf(headers["upgrade"]).toLowerCase() !== "websocket") return refuse("the Upgrade header is not 'websocket'");
  if (textOf(headers["sec-websocket-version"]) !== VERSION) {
    return refuse("the only version of WebSocket spoken here is 13", 426);
  }
  const key = textOf(headers["sec-websocket-key"]);
  if (!KEY.test(key)) return refuse("Sec-WebSocket-Key is missing or is not 16 bytes in base64");
  const offered = textOf(headers["sec-websocket-protocol"])
    .split(",")
    .map((name) => name.trim());
  // The client has to offer it [MQTT-6.0.0-3]; the one that is chosen is named in the answer [MQTT-6.0.0-4].
  const subprotocol = SUBPROTOCOLS.find((name) => offered.includes(name));
  if (subprotocol === undefined) return refuse("the client must offer the WebSocket subprotocol 'mqtt'");
  return { ok: true, key, subprotocol };
}

function textOf(header: string | readonly string[] | undefined): string {
  return (typeof header === "string" ? header : (header ?? []).join(",")).trim();
}
