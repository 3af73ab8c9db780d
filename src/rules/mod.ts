export { redactRule, mapRuleSecrets, validateRule } from "./validate.ts";
export type { RuleDocument, RuleDraft, RuleMove, RulesLimits } from "./model.ts";
export { CARRIERS } from "./actions/registry.ts";
export { isPem } from "./actions/server.ts";
export type { KindName, RuleAction } from "./actions/registry.ts";
export type { Carrier, HttpExchange, SecretChange } from "./actions/kind.ts";
export { describeActions } from "./describe.ts";
export { defaultRules } from "./defaults.ts";
export { TopicRoutes } from "./topic-routes.ts";
export { RuleState } from "./windows/rule-state.ts";
export type { Outcome, StateCounts, StateLimits } from "./windows/rule-state.ts";
export type { StateSnapshot } from "./windows/snapshot.ts";
export type { StateInput } from "./windows/state-input.ts";
export type { RefusedState, SavedWindows } from "./windows/windowed-rules.ts";
export { keyOf } from "./delivery/delivery.ts";
export type {
  DeadLetter,
  DeadLetterQuery,
  DeadReceiver,
  Delivery,
  DeliveryKey,
  KeptLetter,
  Origin,
  SavedDelivery,
} from "./delivery/delivery.ts";
export { HOPS_PROPERTY, hopsOf } from "./actions/republish.ts";
export { receiverOf } from "./delivery/receivers.ts";
export type { KeyedHash } from "./delivery/receivers.ts";
export { DONE, dead, deliveryFails, forAll, targetFails } from "./delivery/sender.ts";
export type { Parcel, Receiver, Sender, Senders, Verdict } from "./delivery/sender.ts";
export { verdictOfError } from "./delivery/verdict.ts";
export type {
  ForgottenState,
  LetterChange,
  RefusedRow,
  Revived,
  RulesStore,
  SaveBatch,
  Saved,
  StoredChange,
  StoredDocument,
  StoredState,
} from "./store.ts";
export { MessageInput } from "./input.ts";
export type { LogReading, OwedMessages, ReadAgain } from "./asking/asking.ts";
export type { HmacSha256, OutgoingHttp, OutgoingRequest, OutgoingResponse } from "./ports.ts";
export type { CronTimes, Zones } from "./alerts/calendar.ts";
export { Alerting } from "./alerts/alerting.ts";
export type { AlertDraft, RouteAnswer } from "./alerts/alerting.ts";
export type { AlertConfig } from "./alerts/config.ts";
export { idPart } from "./alerts/model.ts";
export { measuredBy, toldBy } from "./alerts/measured.ts";
export type { Measured } from "./alerts/measured.ts";
export { CHART_LEAD, CHART_TAIL } from "./alerts/notification.ts";
export type { Alert, AlertPhase, Severity, Transition } from "./alerts/model.ts";
export type { Notification } from "./alerts/notification.ts";
export type { AlertPictures } from "./conversing.ts";
export type { AlertQuery } from "./alerts/query.ts";
export type { Silence, SilenceDraft } from "./alerts/silences.ts";
export type { AlertRow, StoredAlert } from "./alerts/store.ts";
export { HotRules } from "./hot-rules.ts";
export { notMovable } from "./move-errors.ts";
export type { Arrival } from "./arrival.ts";
export type { Departure, RuleMoves } from "./moves.ts";
export { movedAlertOf } from "./alerts/moving.ts";
export type { MovedAlert } from "./alerts/moving.ts";
export { messageId } from "./seen-messages.ts";
export type { Expectation, SeenMessage } from "./seen-messages.ts";
export type { RuleChanges } from "./rule-change.ts";
export type { HotRulesOptions } from "./hot-rule.ts";
export type { Mishap, ReceiverState, RuleActivity } from "./rule-activity.ts";
export { readAlertConfig } from "./rule-alerts.ts";
export { mapAlertSecrets, readAlertSettings } from "./alert-settings.ts";
export type { AlertSettingsDocument } from "./alert-settings.ts";
export { BackTest } from "./backtest/back-test.ts";
export type { BackTestOptions, BackTestReport, RuleReport } from "./backtest/back-test.ts";
export type { ComparisonReport, FiringMark } from "./backtest/comparison.ts";
export type { Example, FindingsReport } from "./backtest/findings.ts";
export { LOOKED_UP, TodaysAnswers } from "./backtest/todays-answers.ts";
export { RuleRun } from "./backtest/rule-run.ts";
export type { Firing } from "./backtest/rule-run.ts";
