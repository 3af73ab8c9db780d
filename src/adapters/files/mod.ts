export { fileCrc32, openLogDirectory } from "./log-directory.ts";
export { ManifestFile, syncFolder } from "./manifest.ts";
export type { ManifestOptions, ManifestState, ManifestStep } from "./manifest.ts";
