export { fileCrc32, openLogDirectory } from "./log-directory.ts";
