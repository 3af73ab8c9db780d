export type { PastCounts, PastProgress, PastWanted } from "./past-messages.ts";
export type { PastTestOrder, PastTestProgress, PastTestResult } from "./past-test.ts";
export { BackTester } from "./back-tester.ts";
export { startPastProcess } from "./child.ts";
