export { FolderObjects } from "./folder.ts";
export { openObjects } from "./open.ts";
export type { ColdPlace, ObjectPorts } from "./open.ts";
export { S3Objects } from "./s3.ts";
export type { S3Options } from "./s3.ts";
