/** What all connections share: sessions, routes, retained messages, the journal's answers, and the end of each turn. */
import { reasonOf } from "../base/mod.ts";
import type { Cancel, Clock, Counter, Logger, Metrics, Millis, MqttLimits, Random, Scheduler } from "../base/mod.ts";
import { BufferPool } from "../wire/mqtt/mod.ts";
import { ANSWER, PendingAcknowledgements } from "./acknowledgements.ts";
import { Backlog } from "./backlog.ts";
import type { Connection } from "./connection.ts";
import { ConnectRates } from "./connect-rates.ts";
import { Deadlines } from "./deadlines.ts";
import type { Expiry } from "./expiries.ts";
import { Fairness } from "./fairness.ts";
import { FanOut } from "./fan-out.ts";
import { HandOver } from "./hand-over.ts";
import type { LimitName } from "./limit-effects.ts";
import { Notes } from "./notes.ts";
import type { Gatekeeper, Journal, StateStore } from "./ports.ts";
import type { PresenceEvent, SubscriptionEvent } from "./presence.ts";
import { Pacing } from "./pacing.ts";
import { ReachedLimits } from "./reached-limits.ts";
import { RecentFrames } from "./recent-frames.ts";
import { Refusals } from "./refusals.ts";
import type { RefusalListener } from "./refusals.ts";
import { sendAnswer } from "./receive-once.ts";
import { RetainedLookups } from "./retained-lookups.ts";
import { RetainedMessages } from "./retained.ts";
import type { RouteCache } from "./routes.ts";
import { Saving } from "./saving.ts";
import { Services } from "./services.ts";
import type { Session, Subscription } from "./session.ts";
import { Subscriptions } from "./subscriptions.ts";
import type { SystemTopicsOptions } from "./system-topics.ts";

export interface BrokerOptions {
  readonly journal: Journal;
  readonly gatekeeper: Gatekeeper;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits: MqttLimits;
  readonly onRefusal?: RefusalListener;
  /** Where clients are sent when this server stops: Server Reference of MQTT 5.0, e.g. `other.example:8883`. */
  readonly serverReference?: string;
  /** For `$SYS`; absent: none. */
  readonly system?: SystemTopicsOptions;
}

/** One output buffer: a busy subscriber's turn is written in a few of them; and a small one, for most turns of most connections. */
const BUFFER_BYTES = 64 * 1024;
const SMALL_BUFFER_BYTES = 4 * 1024;
const BUFFERS_KEPT = 128;

interface Meters {
  readonly received: readonly [Counter, Counter, Counter];
  readonly sent: Counter;
  readonly bytesReceived: Counter;
  readonly bytesSent: Counter;
  readonly acknowledged: Counter;
  /** Packets other than PUBLISH; `acknowledged` counts those of the sent ones that are PUBACKs. */
  readonly controlReceived: Counter;
  readonly controlSent: Counter;
  readonly payloadReceived: Counter;
  readonly payloadSent: Counter;
  /** Connections accepted from the network, and CONNECT packets on them. */
  readonly sockets: Counter;
  readonly connects: Counter;
}

export class Core {
  readonly options: BrokerOptions;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly limits: MqttLimits;
  readonly logger: Logger;
  readonly sessions = new Map<string, Session>();
  readonly connections = new Set<Connection>();
  readonly tree: Subscriptions;
  readonly routes: RouteCache;
  readonly retained: RetainedMessages;
  readonly lookups: RetainedLookups;
  readonly recent: RecentFrames;
  readonly refusals: Refusals;
  readonly saving: Saving;
  readonly handOver: HandOver;
  readonly notes: Notes;
  readonly services: Services;
  readonly backlog: Backlog;
  readonly pacing: Pacing;
  readonly fanOut: FanOut;
  readonly reached: ReachedLimits;
  readonly fairness: Fairness;
  readonly connectRates: ConnectRates;
  /** Why publishes are refused whose answers wait, by packet identifier; gone with the connection. */
  readonly explanations = new WeakMap<Connection, Map<number, string>>();
  /** Connections past CONNECT, and those before it, oldest first. */
  connected = 0;
  readonly greetings = new Set<Connection>();
  /** Bytes of packets that have not arrived whole. */
  partialBytes = 0;
  /** Bytes of wills that wait, as of the last sweep and with those accepted since. */
  willBytes = 0;
  /** A connection with more output than this is waited for. */
  readonly crowdedBytes: number;
  /** Bytes in all outputs, as of the last flush of each. */
  outputBytes = 0;
  readonly acknowledgements = new PendingAcknowledgements<Connection>();
  readonly buffers = new BufferPool({
    bufferBytes: BUFFER_BYTES,
    smallBytes: SMALL_BUFFER_BYTES,
    keepMax: BUFFERS_KEPT,
  });
  readonly meters: Meters;
  readonly presenceListeners = new Set<(event: PresenceEvent) => void>();
  readonly subscriptionListeners = new Set<(event: SubscriptionEvent) => void>();
  /** Connects so far per client id, of clients that left no session; bounded, the oldest are forgotten. */
  readonly versionNumbers = new Map<string, number>();
  /** Sessions whose next delivery is not on disk yet. */
  readonly waitingForDisk = new Set<Session>();
  /** Sessions without a connection, by when they end or their will is due. */
  readonly deadlines = new Deadlines<Session>();
  /** Connections whose certificate, token or key has an end, by when that is (wall clock). */
  readonly expiries = new Deadlines<Expiry>();
  /** Messages that sessions without a connection owe. */
  queuedAbsent = 0;
  queuedBytesAbsent = 0;
  readonly absentWithWill = new Set<Session>();
  /** Messages that all sessions owe, as of the last sweep. */
  queued = 0;
  queuedBytes = 0;
  /** Sessions that ended because their client stayed away. */
  sessionsExpired = 0;
  /** Sends the present values of `$SYS` to a new subscriber. */
  greetSystem: ((session: Session, subscription: Subscription) => void) | null = null;
  /** Offset of the latest accepted message; -1 before the first. */
  lastOffset = -1;
  closing = false;
  /** Sessions are being loaded: nothing may be saved about them, and time must not end them. */
  restoring = false;
  /** Called after each sync, once acknowledgements have been released; and where all that was waited for is on disk already. */
  afterSync: () => void = () => {};
  #dirty: Connection[] = [];
  #flushing: Connection[] = [];
  #planned = false;
  readonly #cancels: Cancel[] = [];

  constructor(options: BrokerOptions) {
    const { limits, metrics } = options;
    this.options = options;
    this.journal = options.journal;
    this.clock = options.clock;
    this.limits = limits;
    this.logger = options.logger;
    const seed = options.random.bytes(4);
    const number = (seed[0]! << 24) | (seed[1]! << 16) | (seed[2]! << 8) | seed[3]!;
    this.tree = new Subscriptions(limits, number);
    this.routes = this.tree.routes;
    this.retained = new RetainedMessages(options.state.retained, limits);
    this.lookups = new RetainedLookups(this);
    this.recent = new RecentFrames(limits.recentBytesMax);
    this.refusals = new Refusals(options);
    this.saving = new Saving(this);
    this.handOver = new HandOver(this);
    this.notes = new Notes(this);
    this.services = new Services(this);
    this.backlog = new Backlog(limits.backlogBytesMax);
    this.pacing = new Pacing(options.scheduler);
    this.reached = new ReachedLimits(metrics);
    this.fairness = new Fairness(this, options.scheduler, limits);
    this.connectRates = new ConnectRates(this, options.scheduler, limits);
    this.crowdedBytes = limits.outputBytesMax / 8;
    this.fanOut = new FanOut(this);
    this.meters = metersOf(metrics);
    metrics.observe({ name: "tidewire_mqtt_connections", help: "Open MQTT connections" }, () => this.connections.size);
    metrics.observe({ name: "tidewire_mqtt_sessions", help: "Sessions, connected or not" }, () => this.sessions.size);
    metrics.observe(
      { name: "tidewire_mqtt_queued_messages", help: "Deliveries that wait, or wait for their PUBACK or PUBREC" },
      () => this.countQueued(),
    );
    metrics.observe(
      { name: "tidewire_mqtt_exchanges", help: "QoS 2 messages under way, both ways, of connected and absent clients" },
      () => this.#countExchanges(),
    );
    metrics.observe({ name: "tidewire_mqtt_retained_messages", help: "Retained messages" }, () => this.retained.size);
    metrics.observe(
      { name: "tidewire_mqtt_subscriptions", help: "Subscriptions of all sessions" },
      () => this.tree.count,
    );
    metrics.observe(
      { name: "tidewire_mqtt_shared_subscriptions", help: "Those of them that are shared" },
      () => this.tree.sharedCount,
    );
    metrics.observe(
      { name: "tidewire_mqtt_route_targets", help: "Subscribers in the cache of routes" },
      () => this.routes.targets,
    );
    metrics.observe({ name: "tidewire_mqtt_output_bytes", help: "Bytes waiting to be sent" }, () => this.outputBytes);
    metrics.observe(
      { name: "tidewire_mqtt_partial_bytes", help: "Bytes of packets that have not arrived whole" },
      () => this.partialBytes,
    );
    metrics.observe(
      { name: "tidewire_mqtt_acknowledgements_waiting", help: "Accepted publishes that wait for the disk" },
      () => this.acknowledgements.size,
    );
    this.#cancels.push(options.journal.onDurable((durable) => this.#synced(durable)));
  }

  /** What one connection's output may hold; little once all of them together hold much. */
  get outputBytesMax(): number {
    const { outputBytesMax, outputTotalBytesMax } = this.limits;
    return this.outputBytes > outputTotalBytesMax ? outputBytesMax / 64 : outputBytesMax;
  }

  countFullOutput(): void {
    this.reached.count(this.outputBytes > this.limits.outputTotalBytesMax ? "outputTotalBytesMax" : "outputBytesMax");
  }

  /** What one session may owe; little once all of them together owe much. */
  get queuedMessagesMax(): number {
    const { queuedMessagesMax, queuedTotalMessagesMax } = this.limits;
    return this.queued > queuedTotalMessagesMax ? queuedMessagesMax / 64 : queuedMessagesMax;
  }

  /** PUBLISH packets so far. */
  get received(): number {
    const [qos0, qos1, qos2] = this.meters.received;
    return qos0.value + qos1.value + qos2.value;
  }

  /** One more has not sent its CONNECT yet; where these are too many, the one that has taken longest is let go. */
  greets(connection: Connection): void {
    this.greetings.add(connection);
    if (this.greetings.size <= this.limits.greetingsMax) return;
    for (const oldest of this.greetings) {
      this.reached.count("greetingsMax");
      this.greetings.delete(oldest);
      oldest.refuse("connect-timeout", null, "CLIENT_ERROR", "others wait, and this one has sent no CONNECT yet");
      return;
    }
  }

  /** Counts it, and says so in the log now and then; for limits that refuse nothing. */
  limitReached(limit: LimitName, connection: Connection, message: string): void {
    this.reached.count(limit);
    this.refusals.slowDown(limit, message, connection.describe());
  }

  countQueued(): number {
    this.queued = this.queuedAbsent;
    this.queuedBytes = this.queuedBytesAbsent;
    for (const connection of this.connections) {
      const { session } = connection;
      if (session?.connection !== connection) continue;
      this.queued += session.outbox.size;
      this.queuedBytes += session.outbox.bytes;
    }
    return this.queued;
  }

  #countExchanges(): number {
    let count = 0;
    for (const { received, outbox } of this.sessions.values()) {
      count += (received?.size ?? 0) + (outbox.exchanges?.named ?? 0) + (outbox.exchanges?.released.size ?? 0);
    }
    return count;
  }

  onStop(cancel: Cancel): void {
    this.#cancels.push(cancel);
  }

  stop(): void {
    for (const cancel of this.#cancels.splice(0)) cancel();
  }

  now(): Millis {
    return this.clock.monotonic();
  }

  /** The connection has output, or a reason to look at it, at the end of this turn. */
  markDirty(connection: Connection): void {
    this.#dirty.push(connection);
    this.planTurnEnd();
  }

  planTurnEnd(): void {
    if (this.#planned) return;
    this.#planned = true;
    this.options.scheduler.defer(() => this.endTurn());
  }

  /** Everything that this turn produced leaves: one write per connection, one transaction for all changed sessions. */
  endTurn(): void {
    this.#planned = false;
    this.fairness.serveWaiting();
    if (this.notes.flush()) this.afterSync();
    this.backlog.mark(this.lastOffset);
    this.releaseAcknowledgements(this.journal.durable);
    if (this.acknowledgements.size > 0) this.journal.hurry(this.acknowledgements.newest); // it may not be a publish's own
    this.saving.flush();
    const dirty = this.#dirty;
    this.#dirty = this.#flushing;
    this.#flushing = dirty;
    for (let i = 0; i < dirty.length; i++) this.#flush(dirty[i]!);
    dirty.length = 0;
    if (this.fairness.endTurn()) this.planTurnEnd();
  }

  /** A transport that throws ends its own connection, not the turn of all the others. */
  #flush(connection: Connection): void {
    try {
      connection.flush();
    } catch (error) {
      this.logger.error("a transport failed", { ...connection.describe(), error: reasonOf(error) });
      connection.destroy();
    }
  }

  releaseAcknowledgements(durable: number): void {
    this.acknowledgements.release(durable, releaseOne);
    this.services.release(durable);
  }

  tellPresence(event: PresenceEvent): void {
    for (const listener of this.presenceListeners) {
      try {
        listener(event);
      } catch (error) {
        this.logger.error("a presence listener failed", { clientId: event.clientId, error: String(error) });
      }
    }
  }

  tellSubscriptions(event: SubscriptionEvent): void {
    for (const listener of this.subscriptionListeners) {
      try {
        listener(event);
      } catch (error) {
        this.logger.error("a subscription listener failed", { clientId: event.clientId, error: String(error) });
      }
    }
  }

  #synced(durable: number): void {
    this.releaseAcknowledgements(durable);
    this.backlog.synced(durable);
    this.saving.synced();
    this.afterSync();
  }
}

function releaseOne(connection: Connection, packetId: number, code: number): void {
  if (code < ANSWER.pubrec) connection.acknowledge(packetId, code);
  else sendAnswer(connection, packetId, code);
}

function metersOf(metrics: Metrics): Meters {
  const received = (qos: string): Counter =>
    metrics.counter({
      name: "tidewire_mqtt_messages_received_total",
      help: "PUBLISH packets received, by quality of service",
      labels: { qos },
    });
  const counter = (name: string, help: string): Counter => metrics.counter({ name, help });
  return {
    received: [received("0"), received("1"), received("2")],
    sent: counter("tidewire_mqtt_messages_sent_total", "PUBLISH packets sent"),
    bytesReceived: counter("tidewire_mqtt_received_bytes_total", "Bytes received from MQTT clients"),
    bytesSent: counter("tidewire_mqtt_sent_bytes_total", "Bytes sent to MQTT clients"),
    acknowledged: counter("tidewire_mqtt_acknowledged_total", "Publishes acknowledged once on disk"),
    controlReceived: counter("tidewire_mqtt_control_packets_received_total", "Packets received, but PUBLISH"),
    controlSent: counter(
      "tidewire_mqtt_control_packets_sent_total",
      "Packets sent, but PUBLISH and its acknowledgements",
    ),
    payloadReceived: counter("tidewire_mqtt_payload_received_bytes_total", "Bytes of payload received in PUBLISH"),
    payloadSent: counter("tidewire_mqtt_payload_sent_bytes_total", "Bytes of payload sent in PUBLISH"),
    sockets: counter("tidewire_mqtt_accepted_total", "Connections that listeners handed over"),
    connects: counter("tidewire_mqtt_connects_total", "CONNECT packets received"),
  };
}
