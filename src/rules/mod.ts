export { redactRule, mapRuleSecrets, validateRule } from "./validate.ts";
export type { Alert, RuleDocument, RuleDraft, RulesLimits, Severity } from "./model.ts";
export { CARRIERS, validateNotify } from "./actions/registry.ts";
export type { KindName, RuleAction } from "./actions/registry.ts";
export type { Carrier, HttpExchange, SecretChange } from "./actions/kind.ts";
export { defaultRules } from "./defaults.ts";
export { TopicRoutes } from "./topic-routes.ts";
export { RuleState } from "./windows/rule-state.ts";
export type { Outcome, StateCounts, StateLimits } from "./windows/rule-state.ts";
export type { StateSnapshot } from "./windows/snapshot.ts";
export type { StateInput } from "./windows/state-input.ts";
export type { SavedWindows } from "./windows/windowed-rules.ts";
export { keyOf } from "./delivery/delivery.ts";
export type {
  DeadLetter,
  DeadLetterQuery,
  Delivery,
  DeliveryKey,
  KeptLetter,
  Origin,
  SavedDelivery,
} from "./delivery/delivery.ts";
export { HOPS_PROPERTY } from "./actions/republish.ts";
export { receiverOf } from "./delivery/receivers.ts";
export type { KeyedHash } from "./delivery/receivers.ts";
export { DONE, dead, deliveryFails, forAll, targetFails } from "./delivery/sender.ts";
export type { Parcel, Receiver, Sender, Senders, Verdict } from "./delivery/sender.ts";
export { verdictOfError } from "./delivery/verdict.ts";
export type {
  ForgottenState,
  LetterChange,
  Revived,
  RulesStore,
  SaveBatch,
  StoredAlert,
  StoredState,
} from "./store.ts";
export type { HmacSha256, OutgoingHttp, OutgoingRequest, OutgoingResponse } from "./ports.ts";
export { AlertBook, idPart } from "./alerts.ts";
export type { AlertEvent, AlertQuery } from "./alerts.ts";
export { HotRules } from "./hot-rules.ts";
export type { HotRulesOptions } from "./hot-rules.ts";
export { BackTest } from "./backtest/back-test.ts";
export type { BackTestOptions, BackTestReport, RuleReport } from "./backtest/back-test.ts";
export type { ComparisonReport, FiringMark } from "./backtest/comparison.ts";
export type { Example, FindingsReport } from "./backtest/findings.ts";
export { RuleRun } from "./backtest/rule-run.ts";
export type { Firing } from "./backtest/rule-run.ts";
export { MessageInput } from "./input.ts";
