export { openArchiveCatalog, readArchiveCatalog } from "./archive-catalog.ts";
export { digestOf, openArchiveFolder } from "./archive-folder.ts";
export { fileCrc32, openLogDirectory } from "./log-directory.ts";
export { ManifestFile, isManifestWhole, readManifest } from "./manifest.ts";
export type { ManifestOptions, ManifestState, ManifestStep } from "./manifest.ts";
