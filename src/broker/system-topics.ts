/**
 * `$SYS/broker/…`: what the broker knows about itself, in Mosquitto's names and forms (mosquitto(8), "Broker status"), which
 * its exporters read. Sent at QoS 0 to those who may receive it, whenever a value has changed; who subscribes gets the
 * present values like retained messages. None of it is in the log or in the store.
 */
import { encodeUtf8, topicMatches } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";
import type { Core } from "./core.ts";
import { deliver, deliverLocally } from "./delivery.ts";
import { frameOf } from "./frame.ts";
import type { FrameView } from "./frame.ts";
import { LoadAverages } from "./load-averages.ts";
import type { Session, Subscription } from "./session.ts";

export interface SystemTopicsOptions {
  /** As `version` shows it. */
  readonly version: string;
  /** Memory of the process that objects use. */
  heapBytes(): number;
  /** 0: no such topics. */
  readonly period: Millis;
}

const PREFIX = "$SYS/broker/";

/** Whether a filter asks for these topics: only one that says so does [MQTT-4.7.2-1]. */
export function asksForSystemTopics(filter: string): boolean {
  return filter.startsWith("$SYS/");
}

interface Current {
  readonly text: string;
  readonly frame: FrameView;
}

export class SystemTopics {
  readonly #core: Core;
  readonly #options: SystemTopicsOptions;
  readonly #startedAt: Millis;
  /** By topic; as many as there are topics below. */
  readonly #current = new Map<string, Current>();
  readonly #loads: LoadAverages;
  #clientsMaximum = 0;
  #heapMaximum = 0;

  constructor(core: Core, options: SystemTopicsOptions) {
    this.#core = core;
    this.#options = options;
    this.#startedAt = core.now();
    this.#loads = new LoadAverages(core.now(), this.#totals());
    this.publish();
  }

  /** Sends what has changed. */
  publish(): void {
    const now = this.#core.now();
    this.#loads.advance(now, this.#totals());
    for (const [name, value] of this.#values(now)) this.#set(PREFIX + name, `${value}`);
    for (const [name, load] of this.#loads.values()) this.#set(`${PREFIX}load/${name}`, load.toFixed(2));
  }

  /** Sends the present values to a new subscriber; those that it may not receive are left out. */
  greet(session: Session, subscription: Subscription): void {
    const { connection } = session;
    if (connection?.state !== "connected") return;
    if (session.subscriptions.get(subscription.filter) !== subscription) return;
    const identifiers = subscription.identifier === 0 ? null : [subscription.identifier];
    for (const [topic, { frame }] of this.#current) {
      if (!topicMatches(subscription.filter, topic) || !connection.authorizer.receive(topic)) continue;
      if (!connection.hasRoom) return;
      connection.send(frame, topic, { qos: 0, retain: true, packetId: 0, identifiers });
    }
  }

  #set(topic: string, text: string): void {
    if (this.#current.get(topic)?.text === text) return;
    const payload = encodeUtf8(text);
    const frame = frameOf({ topic, payload, qos: 0, retain: true, properties: null });
    this.#current.set(topic, { text, frame });
    const core = this.#core;
    const route = core.routes.of(frame);
    const receivedAt = core.clock.now();
    if (route.targets.length > 0) deliver(core, route, frame, -1, receivedAt, null);
    if (route.locals.length === 0) return;
    const message = {
      topic,
      payload,
      qos: 0,
      retain: true,
      clientId: "",
      thing: null,
      receivedAt,
      properties: null,
    } as const;
    deliverLocally(core, message, route);
  }

  /** All that only grows. */
  #totals(): Totals {
    const { meters, refusals } = this.#core;
    const published = meters.received[0].value + meters.received[1].value + meters.received[2].value;
    return {
      "messages/received": published + meters.controlReceived.value,
      "messages/sent": meters.sent.value + meters.acknowledged.value + meters.controlSent.value,
      "publish/received": published,
      "publish/sent": meters.sent.value,
      "publish/dropped": refusals.dropped,
      "bytes/received": meters.bytesReceived.value,
      "bytes/sent": meters.bytesSent.value,
      sockets: meters.sockets.value,
      connections: meters.connects.value,
    };
  }

  #values(now: Millis): readonly (readonly [name: string, value: string | number])[] {
    const core = this.#core;
    const { meters } = core;
    const totals = this.#totals();
    let connected = 0;
    for (const connection of core.connections) if (connection.state === "connected") connected++;
    const disconnected = core.deadlines.size;
    this.#clientsMaximum = Math.max(this.#clientsMaximum, connected + disconnected);
    const heap = this.#options.heapBytes();
    this.#heapMaximum = Math.max(this.#heapMaximum, heap);
    return [
      ["version", `tidewire ${this.#options.version}`],
      ["uptime", `${Math.floor((now - this.#startedAt) / 1000)} seconds`],
      ["clients/total", connected + disconnected],
      ["clients/connected", connected],
      ["clients/active", connected],
      ["clients/disconnected", disconnected],
      ["clients/inactive", disconnected],
      ["clients/maximum", this.#clientsMaximum],
      ["clients/expired", core.sessionsExpired],
      ["messages/received", totals["messages/received"]],
      ["messages/sent", totals["messages/sent"]],
      ["messages/stored", core.queued],
      ["store/messages/count", core.queued],
      ["store/messages/bytes", core.queuedBytes],
      ["publish/messages/received", totals["publish/received"]],
      ["publish/messages/sent", totals["publish/sent"]],
      ["publish/messages/dropped", totals["publish/dropped"]],
      ["publish/bytes/received", meters.payloadReceived.value],
      ["publish/bytes/sent", meters.payloadSent.value],
      ["bytes/received", totals["bytes/received"]],
      ["bytes/sent", totals["bytes/sent"]],
      ["subscriptions/count", core.tree.count],
      ["shared_subscriptions/count", core.tree.sharedCount],
      ["retained messages/count", core.retained.size],
      ["heap/current", heap],
      ["heap/maximum", this.#heapMaximum],
    ];
  }
}

type Totals = Readonly<
  Record<
    | "messages/received"
    | "messages/sent"
    | "publish/received"
    | "publish/sent"
    | "publish/dropped"
    | "bytes/received"
    | "bytes/sent"
    | "sockets"
    | "connections",
    number
  >
>;
