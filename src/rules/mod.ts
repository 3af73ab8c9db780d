export { redactRule } from "./model.ts";
export type {
  ActionKind,
  Alert,
  AlertAction,
  NotifyTarget,
  RuleAction,
  RuleDocument,
  RuleDraft,
  RulesLimits,
  Severity,
  SlackAction,
  TelemetryAction,
  WebhookAction,
} from "./model.ts";
export { defaultRules } from "./defaults.ts";
export { TopicRoutes } from "./topic-routes.ts";
export { keyOf } from "./store.ts";
export type {
  DeadLetter,
  Delivery,
  DeliveryKey,
  ForgottenState,
  RulesStore,
  SaveBatch,
  SavedDelivery,
  StoredAlert,
  StoredState,
} from "./store.ts";
export type { HmacSha256, OutgoingHttp, OutgoingRequest, OutgoingResponse } from "./ports.ts";
export type { CronTimes, Zones } from "./alerts/calendar.ts";
export { AlertBook, idPart } from "./alerts.ts";
export type { AlertEvent, AlertQuery } from "./alerts.ts";
export { HotRules } from "./hot-rules.ts";
export type { HotRulesOptions } from "./hot-rules.ts";
