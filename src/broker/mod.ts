/** The broker's front door. */
export { PROTOCOL_LIMITS, UNLIMITED } from "./protocol-limits.ts";
export { LIMIT_REACHED } from "./reached-limits.ts";
export { Broker } from "./broker.ts";
export type { BrokerConnection } from "./broker.ts";
export type { EndConnection, RetainedList } from "./administration.ts";
export type { BrokerOptions } from "./core.ts";
export type { Examine, Objection } from "./examining.ts";
export type { Outlet, OutletTemplate } from "./outlet.ts";
export type { RefusalListener } from "./refusals.ts";
export type { SystemTopicsOptions } from "./system-topics.ts";
export type {
  Admission,
  AuthenticationExchange,
  AuthenticationStep,
  Authorizer,
  Gatekeeper,
  Journal,
  Peer,
  Progress,
  Publisher,
  RetainedPage,
  RetainedSaved,
  RetainedStore,
  RetainedTotals,
  Replayed,
  SavedState,
  SessionChange,
  StateStore,
  Transport,
} from "./ports.ts";
export type { ConnectionInfo, DisconnectCause, PresenceEvent, SubscriptionEvent } from "./presence.ts";
export type { Requester, Service, ServiceRequest } from "./services.ts";
export { compareTopics } from "./topic-order.ts";
export type {
  OutboxChunk,
  SavedExchanges,
  SavedOutbox,
  SavedRetained,
  SavedSession,
  SavedSubscription,
  StoredOutbox,
  StoredSession,
} from "./session.ts";
