export { BackupRepository } from "./repository.ts";
export type { BackupFile, Problem, Snapshot } from "./repository.ts";
export { restoreBackup } from "./restore.ts";
export { takeBackup } from "./take.ts";
export type { BackupOptions, Taken } from "./take.ts";
