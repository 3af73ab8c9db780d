export { days, gib, hours, kib, mib, minutes, seconds } from "./units.ts";
export type { Bytes, EpochMs, Millis } from "./units.ts";
export type {
  Cancel,
  Clock,
  Counter,
  Gauge,
  LogFields,
  Logger,
  MetricDefinition,
  Metrics,
  Random,
  Scheduler,
} from "./ports.ts";
export { ACCOUNT_ID, arnOf } from "./arn.ts";
export { asRuleSees, ingestOf, thingNamedIn } from "./basic-ingest.ts";
export { sharedFilterOf, topicFilterFault, topicMatches, topicNameFault } from "./topic.ts";
export type { SharedFilter, TopicFault, TopicLimits } from "./topic.ts";
export { STAMP_OUTBOX, STAMP_SEQUENCE, UNFIT_REASON, UNFIT_SCHEMA, UNFIT_TOPIC, stampOf } from "./message.ts";
export type { Message, MessageProperties, QoS, Stamp } from "./message.ts";
export { ForgottenThings, THING_TOPICS, thingOfTopic } from "./forgotten.ts";
export type { ForgottenMessages, ForgottenThing, MessageSource } from "./forgotten.ts";
export { reasonOf } from "./errors/text.ts";
export { ERROR_CATALOGUE, TidewireError, isRetryable, isTidewireError } from "./errors/catalogue.ts";
export type { ErrorCode, ErrorDetails, ErrorEntry, Fault } from "./errors/catalogue.ts";
export { LIMITS, assertLimits } from "./limits/limits.ts";
export type { Limits, MqttLimits } from "./limits/limits.ts";
export { parseIsoTime } from "./iso-time.ts";
export { PlainJson, UNREAD } from "./plain-json.ts";
export { isJsonObject, parseJson, parseJsonNumbers } from "./json.ts";
export type { JsonLimits, JsonObject, JsonResult, JsonValue } from "./json.ts";
export { copyBytes, decodeUtf8, encodeUtf8, encodeUtf8Into, utf8Fault, utf8Length } from "./bytes.ts";
export type { Utf8Fault } from "./bytes.ts";
export { areWords, copyWords, hashWords, wordsOf } from "./words.ts";
export { JOIN_FINGERPRINT_BYTES, JOIN_SECRET_BYTES, formatJoinCode, parseJoinCode } from "./join-code.ts";
export type { JoinCode } from "./join-code.ts";
export { closestWord } from "./suggest.ts";
export { isObjectKey } from "./objects.ts";
export type { ObjectFacts, ObjectSource, Objects } from "./objects.ts";
export { networkOf } from "./address.ts";
export { momentAsked, momentIn, spanIn } from "./time-text.ts";
