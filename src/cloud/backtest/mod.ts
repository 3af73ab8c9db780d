export { PastMessages } from "./past-messages.ts";
export type { PastCounts, PastProgress, PastWanted } from "./past-messages.ts";
