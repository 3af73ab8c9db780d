/** AWS IoT's life-cycle events: who connects, leaves, subscribes and unsubscribes, as messages below `$aws/events/`. */
import { encodeUtf8, reasonOf, topicNameFault } from "../../base/mod.ts";
import type { Cancel, EpochMs, Logger, Metrics, MqttLimits } from "../../base/mod.ts";
import type { Broker, PresenceEvent, SubscriptionEvent } from "../../broker/mod.ts";

export type LifeCycleEvents = "all" | "presence" | "none";

export interface LifeCycleEventsOptions {
  readonly broker: Pick<Broker, "onPresence" | "onSubscriptions" | "publishLocal">;
  readonly which: LifeCycleEvents;
  readonly limits: Pick<MqttLimits, "topicBytesMax" | "topicLevelsMax">;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The platform's own messages have no client. */
const PLATFORM = "";

export function publishLifeCycleEvents(options: LifeCycleEventsOptions): Cancel {
  const { broker, which, limits, logger, metrics } = options;
  if (which === "none") return () => {};
  const lost = metrics.counter({
    name: "tidewire_life_cycle_events_lost_total",
    help: "Life-cycle events that were not published: the log did not take them",
  });
  const tell = (topic: string, document: object, receivedAt: EpochMs): void => {
    // AWS has none for client identifiers that hold a wildcard: no topic can carry them.
    if (topicNameFault(topic, limits) !== null) return;
    const payload = encodeUtf8(JSON.stringify(document));
    const said = { clientId: PLATFORM, thing: null, qos: 1, retain: false, receivedAt, properties: null } as const;
    try {
      // A fleet that comes back would have the log synced twice per connection, though nobody waits for that.
      broker.publishLocal({ topic, payload, ...said }, true);
    } catch (error) {
      lost.value++;
      if (lost.value === 1) logger.warn("Life-cycle events are lost.", { topic, reason: reasonOf(error) });
    }
  };
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
  };
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
