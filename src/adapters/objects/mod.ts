export { FolderObjects } from "./folder.ts";
export { openObjects } from "./open.ts";
export type { ColdPlace, ObjectPorts } from "./open.ts";
export { spool } from "./spool.ts";
export type { Spooled } from "./spool.ts";
