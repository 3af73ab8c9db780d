export { openArchiveCatalog } from "./archive-catalog.ts";
export { digestOf, openArchiveFolder } from "./archive-folder.ts";
export { fileCrc32, openLogDirectory } from "./log-directory.ts";
