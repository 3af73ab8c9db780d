export { BackupConfigSchema, ExportsConfigSchema, ScrubConfigSchema, backupsOf } from "./config.ts";
export { startSchedules } from "./start.ts";
export type { ScheduleProblems } from "./start.ts";
