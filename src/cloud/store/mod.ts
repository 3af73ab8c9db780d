export { StoreClient } from "./client.ts";
export type { ArchiveStatus, StoreClientOptions, StoreStatus } from "./client.ts";
export type { LivePoints } from "./live.ts";
export type { RuleLike } from "./orders.ts";
export type { ArchiveOrder, Erased, ForgetOrder } from "./protocol.ts";
