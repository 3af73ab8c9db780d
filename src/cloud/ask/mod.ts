export { Asker } from "./asker.ts";
export type { AskAnswer, AskOptions, AskRequest } from "./asker.ts";
export { EXPORTED, exportStatement } from "./export-statement.ts";
export type { ExportRange, ExportStatement, Exported } from "./export-statement.ts";
export { startAsker } from "./child.ts";
export { ANSWER_FORMATS } from "./protocol.ts";
export type { AnswerFormat } from "./protocol.ts";
export { snapshotsOf } from "./sources.ts";
export type { AskSources } from "./sources.ts";
