export { Outbox } from "./outbox.ts";
export type { OutboxLimits, OutboxOptions, OutboxStatistics, PutOptions } from "./outbox.ts";
export { QueueStoreError, sizeOf } from "./store.ts";
export type { Burial, Change, DeadLetter, OutboxState, QueueStore, Reading, StoredSize } from "./store.ts";
