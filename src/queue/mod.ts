export { Outbox } from "./outbox.ts";
export type { OutboxLimits, OutboxOptions, OutboxStatistics, PutOptions } from "./outbox.ts";
export { QueueStoreError, sizeOf } from "./store.ts";
export type { Burial, Change, DeadLetter, OutboxState, QueueStore, Reading, StoredSize } from "./store.ts";
export { CURABLE_REFUSALS } from "./courier.ts";
export type { CloseCause, CloseKind, LossText } from "./losses.ts";
export type { OpenUplinkSocket, UplinkEvents, UplinkSocket } from "./channel.ts";
export { Uplink } from "./uplink.ts";
export type { UplinkOptions, UplinkStatus } from "./uplink.ts";
