export { PostgresStore } from "./postgres-store.ts";
export type { PostgresStoreOptions } from "./postgres-store.ts";
export { parsePostgresUrl } from "./server-url.ts";
export { PostgresRegistryStore } from "./registry-store.ts";
export type { PostgresServerAddress } from "./server-url.ts";
