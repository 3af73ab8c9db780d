export { scrubFolder } from "./scrub-folder.ts";
export type { ScrubFinding, ScrubReport } from "./scrub-folder.ts";
