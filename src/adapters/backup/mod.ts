export { BackupRepository } from "./repository.ts";
export type { BackupFile, BackupPorts, Problem, Snapshot } from "./repository.ts";
export { backupPlace } from "./address.ts";
export type { BucketOptions } from "./address.ts";
export { restoreBackup } from "./restore.ts";
export { takeBackup } from "./take.ts";
export type { BackupOptions, Taken } from "./take.ts";
