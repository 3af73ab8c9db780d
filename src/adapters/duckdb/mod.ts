export { DuckStore } from "./duck-store.ts";
export type { DuckStoreOptions } from "./duck-store.ts";
export { isDamage, isEnvironment } from "./open.ts";
export { DuckEventFormat } from "./event-format.ts";
export type { EventFormatOptions } from "./event-format.ts";
export type { StoreView } from "./cold-store.ts";
export { ROLLUP_COLUMNS, instant, mergedRollup } from "./rollup.ts";
export { parquetOf } from "./series-parquet.ts";
