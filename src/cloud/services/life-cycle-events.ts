/** AWS IoT's life-cycle events: who connects, leaves, subscribes and unsubscribes, as messages below `$aws/events/`. */
import { encodeUtf8, reasonOf, topicNameFault } from "../../base/mod.ts";
import type { Cancel, Logger, Metrics, Millis, MqttLimits, Scheduler } from "../../base/mod.ts";
import type { Broker, PresenceEvent, SubscriptionEvent } from "../../broker/mod.ts";

export type LifeCycleEvents = "all" | "presence" | "none";

export interface LifeCycleEventsOptions {
  readonly broker: Pick<Broker, "onPresence" | "onSubscriptions" | "publishLocal">;
  readonly which: LifeCycleEvents;
  readonly limits: Pick<MqttLimits, "topicBytesMax" | "topicLevelsMax">;
  readonly scheduler: Pick<Scheduler, "after">;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The platform's own messages have no client. */
const PLATFORM = "";

/**
 * An event after a while of silence is told at once, those that follow it together: a fleet that comes back would have the
 * log written and synced twice per connection, though nobody waits for that.
 */
const GATHERED_FOR: Millis = 50;
const GATHERED_MAX = 1_000;

interface Told {
  readonly topic: string;
  readonly document: object;
  readonly at: number;
}

export function publishLifeCycleEvents(options: LifeCycleEventsOptions): Cancel {
  const { broker, which, limits, logger, metrics } = options;
  if (which === "none") return () => {};
  const lost = metrics.counter({
    name: "tidewire_life_cycle_events_lost_total",
    help: "Life-cycle events that were not published: the log did not take them",
  });
  const publish = ({ topic, document, at: receivedAt }: Told): void => {
    // AWS has none for client identifiers that hold a wildcard: no topic can carry them.
    if (topicNameFault(topic, limits) !== null) return;
    const payload = encodeUtf8(JSON.stringify(document));
    const said = { clientId: PLATFORM, thing: null, qos: 1, retain: false, receivedAt, properties: null } as const;
    try {
      broker.publishLocal({ topic, payload, ...said });
    } catch (error) {
      lost.value++;
      if (lost.value === 1) logger.warn("Life-cycle events are lost.", { topic, reason: reasonOf(error) });
    }
  };
  const gathering = new Gathering(publish, options.scheduler);
  const tell = (topic: string, document: object, at: number): void => gathering.add({ topic, document, at });
  const cancelPresence = broker.onPresence((event) =>
    tell(`$aws/events/presence/${event.type}/${event.clientId}`, presenceDocument(event), event.at),
  );
  const cancelSubscriptions =
    which === "presence"
      ? () => {}
      : broker.onSubscriptions((event) =>
          tell(`$aws/events/subscriptions/${event.type}/${event.clientId}`, subscriptionDocument(event), event.at),
        );
  return () => {
    cancelPresence();
    cancelSubscriptions();
    gathering.close();
  };
}

/** In order, none left out. */
class Gathering {
  readonly #publish: (told: Told) => void;
  readonly #scheduler: LifeCycleEventsOptions["scheduler"];
  /** `GATHERED_MAX` at most. */
  #waiting: Told[] = [];
  /** Set while others are waited for. */
  #timer: Cancel | null = null;

  constructor(publish: (told: Told) => void, scheduler: LifeCycleEventsOptions["scheduler"]) {
    this.#publish = publish;
    this.#scheduler = scheduler;
  }

  add(told: Told): void {
    if (this.#timer === null) {
      this.#publish(told);
      this.#gather();
      return;
    }
    this.#waiting.push(told);
    if (this.#waiting.length >= GATHERED_MAX) this.#flush();
  }

  close(): void {
    this.#timer?.();
    this.#flush();
  }

  #gather(): void {
    this.#timer = this.#scheduler.after(GATHERED_FOR, () => {
      this.#timer = null;
      if (this.#waiting.length === 0) return;
      this.#flush();
      this.#gather();
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const told of waiting) this.#publish(told);
  }
}

/** In AWS's order; times are milliseconds. */
function presenceDocument(event: PresenceEvent): object {
  const { clientId, at: timestamp, type: eventType, sessionIdentifier, certificateId, versionNumber } = event;
  const principalIdentifier = certificateId ?? undefined;
  const common = { clientId, timestamp, eventType, sessionIdentifier, principalIdentifier };
  if (event.type === "connected") return { ...common, ipAddress: event.remoteAddress, versionNumber };
  const disconnectReason = event.reason ?? "UNKNOWN";
  const clientInitiatedDisconnect = disconnectReason === "CLIENT_INITIATED_DISCONNECT";
  return { ...common, clientInitiatedDisconnect, disconnectReason, versionNumber };
}

function subscriptionDocument(event: SubscriptionEvent): object {
  const { clientId, at: timestamp, type: eventType, sessionIdentifier, certificateId, filters: topics } = event;
  return { clientId, timestamp, eventType, sessionIdentifier, principalIdentifier: certificateId ?? undefined, topics };
}
