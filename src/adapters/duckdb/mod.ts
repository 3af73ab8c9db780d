export { DuckStore } from "./duck-store.ts";
export type { DuckStoreOptions } from "./duck-store.ts";
export { isDamage, isEnvironment } from "./open.ts";
export { UserQuery } from "./user-query.ts";
export type { Parameter, Parameters } from "./user-query.ts";
export { writeAnswer } from "./user-formats.ts";
export type { UserRelation } from "./user-sql.ts";
export type { UserView } from "./user-views.ts";
