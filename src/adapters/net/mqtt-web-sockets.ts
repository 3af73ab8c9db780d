/** MQTT over WebSocket: takes over HTTP connections that ask for it, on the path that AWS IoT has too. */
import { createHash } from "node:crypto";
import { STATUS_CODES, createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Clock, Logger, Metrics } from "../../base/mod.ts";
import { judgeUpgrade } from "../../wire/websocket/mod.ts";
import { answerToNewcomer, listenMqtt, peerOf } from "./listen-mqtt.ts";
import type { MqttListener, MqttListenerOptions, Refused, Visitor } from "./listen-mqtt.ts";
import { ListenerRefusals } from "./listener-refusals.ts";
import { shownBy } from "./tls-door.ts";
import { WebSocketTransport } from "./web-socket-transport.ts";

export interface MqttWebSocketOptions extends Pick<
  MqttListenerOptions,
  "admitPeer" | "newcomer" | "accept" | "anonymous" | "login" | "onRefused"
> {
  /** In metrics and log lines. */
  readonly name: string;
  /** What else speaks against a request, such as the page that it comes from; null: nothing. */
  readonly objection: (request: IncomingMessage) => string | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export const MQTT_PATH = "/mqtt";
/** RFC 6455 section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const FORBIDDEN = 403;

export class MqttWebSockets {
  readonly #options: MqttWebSocketOptions;
  readonly #refusals: ListenerRefusals;

  constructor(options: MqttWebSocketOptions) {
    this.#options = options;
    this.#refusals = new ListenerRefusals(options.name, options);
  }

  /** Whether a request for an upgrade is ours to answer. */
  static isMeant({ url = "" }: IncomingMessage): boolean {
    return url === MQTT_PATH || url.startsWith(`${MQTT_PATH}?`);
  }

  /** Answers an upgrade; `head` is what came behind the request. */
  upgrade(request: IncomingMessage, socket: Socket, head: Uint8Array, visitor: Visitor): void {
    const { remoteAddress, credential, principal } = visitor;
    const { admitPeer, accept, objection } = this.#options;
    socket.on("error", ignore); // HTTP has let go of the socket; whoever serves it is told by "close"
    const refuse = (status: number, reason: string, hint: string): void => {
      this.#refusals.refuse(remoteAddress, reason, hint, undefined, shownBy(socket));
      answer(socket, status, hint);
    };
    // Who signed the request did so for this connection, whatever page it is for.
    const objected = principal === undefined ? objection(request) : null;
    if (objected !== null) return refuse(FORBIDDEN, "websocket-origin", objected);
    const verdict = judgeUpgrade(request);
    if (!verdict.ok) return refuse(verdict.status, "websocket-upgrade", verdict.reason);
    const unwelcome = (refused: Refused & { readonly certificateId: string | null }): void => {
      const forbid = ({ reason, hint }: Refused): void => refuse(FORBIDDEN, reason, hint);
      const asked = answerToNewcomer(socket, remoteAddress, refused, this.#options.newcomer);
      if (asked === null) forbid(refused);
      else void asked.then(forbid);
    };
    if (credential.kind === "unusable") return unwelcome(credential);
    if (credential.kind === "certificate") {
      const { certificateId } = credential;
      const admitted = admitPeer(certificateId);
      if (!admitted.ok) return unwelcome({ certificateId, reason: "certificate-refused", hint: admitted.reason });
    }
    socket.setNoDelay(true);
    socket.setTimeout(0);
    socket.write(acceptance(verdict.key, verdict.subprotocol));
    const transport = new WebSocketTransport(socket, remoteAddress, (fault) => {
      this.#refusals.refuse(remoteAddress, `websocket-${fault.kind}`, fault.detail);
    });
    const proved = { ...this.#options, ...(principal === undefined ? {} : { principal }) };
    transport.attach(accept(transport, peerOf(remoteAddress, credential, proved, socket)), head);
  }
}

/** A listener that serves nothing else; `ws://` on the command line. Throws as `listenMqtt` does. */
export function listenMqttWebSocket(
  options: MqttListenerOptions & Pick<MqttWebSocketOptions, "objection" | "name">,
): Promise<MqttListener> {
  const sockets = new MqttWebSockets(options);
  const visits = new WeakMap<object, { readonly visitor: Visitor; readonly deadline: NodeJS.Timeout }>();
  const http = createServer((_request, response) => {
    response.writeHead(426, { connection: "close", upgrade: "websocket", "content-type": "text/plain" });
    response.end(`MQTT over WebSocket is served here, at ${MQTT_PATH}\n`);
  });
  http.on("upgrade", (request, socket: Socket, head) => {
    const { visitor, deadline } = visits.get(socket)!;
    clearTimeout(deadline);
    if (MqttWebSockets.isMeant(request)) sockets.upgrade(request, socket, head, visitor);
    else answer(socket, 404, `MQTT over WebSocket is served at ${MQTT_PATH}`);
  });
  return listenMqtt({
    ...options,
    unnamed: "http",
    http: (socket, visitor) => {
      // An HTTP server that does not listen itself looks after no time limits.
      const deadline = setTimeout(() => socket.destroy(), options.limits.connectTimeout);
      socket.once("close", () => clearTimeout(deadline));
      visits.set(socket, { visitor, deadline });
      http.emit("connection", socket);
    },
  });
}

function acceptance(key: string, subprotocol: string): string {
  const accept = createHash("sha1")
    .update(key + GUID)
    .digest("base64");
  // Nothing is said about extensions, so none is used: no compression [RFC 6455 section 9.1].
  const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
  return [...lines, `Sec-WebSocket-Accept: ${accept}`, `Sec-WebSocket-Protocol: ${subprotocol}`, "", ""].join("\r\n");
}

function answer(socket: Socket, status: number, sentence: string): void {
  const body = `${sentence}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]!}`,
    "Connection: close",
    "Content-Type: text/plain; charset=utf-8",
  ];
  if (status === 426) lines.push("Sec-WebSocket-Version: 13", "Upgrade: websocket");
  const head = [...lines, `Content-Length: ${Buffer.byteLength(body)}`, "", ""].join("\r\n");
  socket.end(head + body, () => socket.destroy());
}

function ignore(): void {}
