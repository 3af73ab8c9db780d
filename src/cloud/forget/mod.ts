export { ForgetBook, forgottenIn } from "./book.ts";
export type { ForgetEntry, ForgetPart } from "./book.ts";
export { Forgetter } from "./forgetter.ts";
export type { DepartureQuery, ForgetReport, ForgetterOptions, Remains } from "./forgetter.ts";
