export { openAnswers, openNamedAnswers } from "./open.ts";
export type { AboutThings } from "./answers.ts";
