export { StoreClient } from "./client.ts";
export type { StoreClientOptions, StoreStatus } from "./client.ts";
export type { LivePoints } from "./live.ts";
export type { RuleLike } from "./orders.ts";
