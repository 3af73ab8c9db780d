export { Log } from "./log.ts";
export type { LogConsumer, LogOptions, LogStatus } from "./log.ts";
export type { LogBatch } from "./batch.ts";
export { LogReader } from "./reader.ts";
export type { LogReaderOptions } from "./reader.ts";
export { isDamage, verify } from "./verify.ts";
export type { Finding, VerifyOptions } from "./verify.ts";
export { writeThenSync } from "./ports.ts";
export type { Crc32, LogDirectory, LogFile } from "./ports.ts";
