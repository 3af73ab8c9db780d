export { Twin } from "./twin.ts";
export type { NamedShadows, ShadowChange, TwinOptions } from "./twin.ts";
export type { Outcome, TwinRequest } from "./turn.ts";
export type { Refusal } from "./refusal.ts";
export type { Answer, ShadowStore, StoredShadow, TwinChanges, WaitingAnswers } from "./store.ts";
export { API_PREFIX, CLIENT_PREFIX, requestOf } from "./topics.ts";
export type { RequestTopic, ShadowKey } from "./topics.ts";
export { exact as parseExact } from "./json.ts";
