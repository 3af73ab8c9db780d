import type { Logger } from "../../base/mod.ts";
import type { RecordSource } from "./ports.ts";
export async function openRecordSource(folder: string, logger: Logger): Promise<RecordSource> {
  await Promise.resolve();
  throw new Error(folder + String(logger));
}
