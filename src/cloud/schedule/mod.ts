export { BackupConfigSchema, ExportsConfigSchema, ScrubConfigSchema } from "./config.ts";
export { startSchedules } from "./start.ts";
export type { ScheduleProblems } from "./start.ts";
