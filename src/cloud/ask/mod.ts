export { Asker } from "./asker.ts";
export type { AskOptions, AskRequest } from "./asker.ts";
export { startAsker } from "./child.ts";
export { ANSWER_FORMATS } from "./protocol.ts";
export type { AnswerFormat } from "./protocol.ts";
