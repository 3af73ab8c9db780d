export { DuckStore } from "./duck-store.ts";
export type { DuckStoreOptions } from "./duck-store.ts";
export { isEnvironment } from "./open.ts";
