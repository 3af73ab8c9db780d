export { DuckStore } from "./duck-store.ts";
export type { DuckStoreOptions } from "./duck-store.ts";
export { isDamage, isEnvironment } from "./open.ts";
