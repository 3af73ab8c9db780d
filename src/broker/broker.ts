/** The broker's front: connections and local services in, presence out. */
import type { Cancel, LogFields, Message, Millis } from "../base/mod.ts";
import { reasonOf, topicFilterFault } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { endConnection, endUnauthorized, listRetained } from "./administration.ts";
import type { EndConnection, RetainedList } from "./administration.ts";
import { Connection } from "./connection.ts";
import { Core } from "./core.ts";
import type { BrokerOptions } from "./core.ts";
import { pump } from "./pump.ts";
import { forgetRetained, forgetThing } from "./forget.ts";
import type { ForgottenSessions, IsForgotten } from "./forget.ts";
import type { Peer, Transport } from "./ports.ts";
import type { RefusalKind } from "./refusals.ts";
import { infoOf } from "./presence.ts";
import type { ConnectionInfo, PresenceEvent, SubscriptionEvent } from "./presence.ts";
import { FrameOutlet } from "./outlet.ts";
import type { Outlet, OutletTemplate } from "./outlet.ts";
import { publishMessage } from "./publish.ts";
import type { Examine, Examiner } from "./examining.ts";
import { isClosed } from "./reserved-topics.ts";
import { restoreState } from "./restore.ts";
import type { Service } from "./services.ts";
import type { LocalSubscription } from "./session.ts";
import { sweep } from "./sweep.ts";
import { SystemTopics } from "./system-topics.ts";
import type { SystemTopicsOptions } from "./system-topics.ts";

/** How often keep-alives, expiries and will delays are looked at: their precision. */
const SWEEP_MS = 500;
/**
 * What was delivered by shared subscriptions and not saved counts as waiting again after a crash, and queues are bounded: who is killed
 * soon after each start must get on all the same. So for this long after a start, state is saved so many times as often.
 */
const EARLY_MS = 60_000;
const EARLY_SAVES = 5;
/** How long an expired retained message stays on disk at most; nobody is sent it meanwhile. */
const RETAINED_SWEEP_MS = 60_000;

/** What a listener holds of a connection. */
export interface BrokerConnection {
  /** What arrived: `chunk[0, end)`, all of it by default. Valid until it returns. */
  receive(chunk: Uint8Array, end?: number): void;
  /** The bytes of the last `Transport.write` are sent; the transport must not touch them any more. */
  written(bytes: Uint8Array): void;
  /** The transport is closed; `reason` is for the log. */
  closed(reason?: string): void;
}

export class Broker {
  readonly #core: Core;
  #restored = false;

  constructor(options: BrokerOptions) {
    this.#core = new Core(options);
    const { scheduler, limits } = options;
    const core = this.#core;
    core.afterSync = () => pumpWaiting(core);
    core.onStop(scheduler.every(SWEEP_MS, () => sweep(core)));
    core.onStop(scheduler.every(RETAINED_SWEEP_MS, () => void sweepRetained(core)));
    core.onStop(saveRegularly(core, limits.stateSavePeriod));
    if (options.system !== undefined && options.system.period > 0) startSystemTopics(core, options.system);
  }

  /** Loads sessions and retained messages and brings them up to date from the journal. Once, before the first `accept`. */
  async restore(): Promise<void> {
    if (this.#restored) throw new Error("a broker is restored once");
    this.#restored = true;
    await restoreState(this.#core);
  }

  /** A client has opened a connection. */
  accept(transport: Transport, peer: Peer): BrokerConnection {
    const connection = new Connection(this.#core, transport, peer);
    this.#core.connections.add(connection);
    this.#core.greets(connection);
    this.#core.meters.sockets.value++;
    return connection;
  }

  /**
   * Publishes a message of the platform's own; a `patient` one may be lost in a power cut of the next moment, because nobody
   * was promised it. Returns its offset; throws `TidewireError` LOG_FULL or LOG_FAILED.
   */
  publishLocal(message: Message, patient = false): number {
    return publishMessage(this.#core, message, patient);
  }

  /** As `publishLocal`, for many messages with the same of all but payload and time. Throws where no packet can hold the template. */
  outlet(template: OutletTemplate): Outlet {
    return new FrameOutlet(this.#core, template);
  }

  /**
   * Calls `handler` for every message that the filter matches, in order, before its publisher is acknowledged and before it
   * is on disk. The handler may keep the message. What it throws is logged and counted.
   */
  subscribeLocal(filter: string, handler: (message: Message) => void): Cancel {
    const fault = topicFilterFault(filter, this.#core.limits);
    if (fault !== null) throw new Error(`not a topic filter: '${filter}' (${fault})`);
    const subscription: LocalSubscription = { kind: "local", filter, handler };
    this.#core.tree.add(filter, subscription);
    return () => this.#core.tree.remove(filter, subscription);
  }

  /** From now on `examine` is asked about every message that the filter matches, before it is taken. */
  examine(filter: string, examine: Examine): Cancel {
    const examiner: Examiner = { kind: "examiner", filter, examine };
    this.#core.tree.add(filter, examiner);
    return () => this.#core.tree.remove(filter, examiner);
  }

  /** From now on requests on the service's topics reach it. Before the first `accept`: verdicts on topics are kept. */
  serve(service: Service): Cancel {
    return this.#core.services.add(service);
  }

  /** Ends every connection that matches, at once and with its will; returns how many. `reasonCode` is of MQTT 5.0. */
  disconnect(
    matches: (connection: ConnectionInfo) => boolean,
    reasonCode: number,
    detail = "ended by the server",
  ): number {
    const cause = reasonCode === REASON.notAuthorized ? "FORBIDDEN_ACCESS" : "SERVER_INITIATED_DISCONNECT";
    const chosen = [...this.#core.connections].filter((c) => c.state === "connected" && matches(infoOf(c)));
    for (const connection of chosen) connection.disconnect(reasonCode, cause, detail);
    return chosen.length;
  }

  /**
   * Ends those of the chosen connections that would not be let in any more, or that have a subscription that they may not
   * make any more; the first at once, many in several turns. `ended`: how many, when all have been looked at.
   */
  endUnauthorized(isChosen: (principal: string | null) => boolean, ended: (count: number) => void): void {
    endUnauthorized(this.#core, isChosen, ended);
  }

  /** Ends a client's connection for an administrator; false where there is nothing of this client to end. */
  endConnection(clientId: string, how: EndConnection): boolean {
    return endConnection(this.#core, clientId, how);
  }

  /** Retained messages behind the topic `after`; `filter`: one topic, or `#`. */
  retained(filter: string, after: string | null, max: number): Promise<RetainedList> {
    return listRetained(this.#core, filter, after, max);
  }

  /** Whether only the platform publishes there, whatever somebody's rights are. */
  isClosed(topic: string, retain: boolean): boolean {
    return isClosed(this.#core, topic, retain);
  }

  /** Everybody who is connected. */
  *connections(): Iterable<ConnectionInfo> {
    for (const connection of this.#core.connections) if (connection.state === "connected") yield infoOf(connection);
  }

  /**
   * Ends the thing's connections and sessions, and removes the retained messages that `forgotten` says are; its own clients'
   * are asked about as the thing's. On disk when it resolves.
   */
  forgetThing(thing: string, forgotten: IsForgotten): Promise<ForgottenSessions> {
    return forgetThing(this.#core, thing, forgotten);
  }

  /** Removes retained messages that are forgotten; how many. */
  forgetRetained(forgotten: IsForgotten): Promise<number> {
    return forgetRetained(this.#core, forgotten);
  }

  onPresence(listener: (event: PresenceEvent) => void): Cancel {
    this.#core.presenceListeners.add(listener);
    return () => this.#core.presenceListeners.delete(listener);
  }

  /** Told of everything that is refused; one listener. */
  onRefusal(listener: (kind: RefusalKind, message: string, fields: LogFields) => void): Cancel {
    this.#core.refusals.listener = listener;
    return () => {
      this.#core.refusals.listener = null;
    };
  }

  /** Told what clients subscribe to and unsubscribe from. */
  onSubscriptions(listener: (event: SubscriptionEvent) => void): Cancel {
    this.#core.subscriptionListeners.add(listener);
    return () => this.#core.subscriptionListeners.delete(listener);
  }

  /** Says good-bye to every client, saves what there is, and stops. The journal is still open when it resolves. */
  async close(): Promise<void> {
    const core = this.#core;
    if (core.closing) return;
    core.closing = true;
    const elsewhere = core.options.serverReference !== undefined;
    const code = elsewhere ? REASON.useAnotherServer : REASON.serverShuttingDown;
    for (const connection of core.connections) {
      connection.disconnect(code, "SERVER_INITIATED_DISCONNECT", "the server is shutting down");
    }
    core.endTurn();
    await core.handOver.settled();
    await core.saving.settled();
    core.stop();
  }
}

function saveRegularly(core: Core, period: Millis): Cancel {
  const earlyUntil = core.now() + EARLY_MS;
  let ticks = 0;
  return core.options.scheduler.every(period / EARLY_SAVES, () => {
    if (core.now() < earlyUntil || ++ticks % EARLY_SAVES === 0) core.saving.progressDue();
  });
}

function startSystemTopics(core: Core, options: SystemTopicsOptions): void {
  const topics = new SystemTopics(core, options);
  core.onStop(core.options.scheduler.every(options.period, () => topics.publish()));
  // Behind the SUBACK of this turn.
  core.greetSystem = (session, subscription) => core.options.scheduler.defer(() => topics.greet(session, subscription));
}

/** Sessions whose next message was not on disk yet. */
function pumpWaiting(core: Core): void {
  if (core.waitingForDisk.size === 0) return;
  const waiting = [...core.waitingForDisk];
  core.waitingForDisk.clear();
  for (const session of waiting) pump(core, session);
}

/** Some hundred in one turn, until none is left. */
async function sweepRetained(core: Core): Promise<void> {
  if (core.restoring || core.closing) return;
  try {
    const more = await core.retained.sweep(core.clock.now());
    if (more) core.options.scheduler.defer(() => void sweepRetained(core));
  } catch (error) {
    core.logger.error("expired retained messages cannot be removed", { error: reasonOf(error) });
  }
}
