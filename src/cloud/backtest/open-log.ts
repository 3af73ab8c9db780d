/** The log of a data folder, read from outside of the process that writes it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileCrc32, openLogDirectory } from "../../adapters/files/mod.ts";
import { ForgottenThings, TidewireError } from "../../base/mod.ts";
import type { Logger, Metrics } from "../../base/mod.ts";
import { LogReader } from "../../log/mod.ts";
import type { LogReaderOptions } from "../../log/mod.ts";
import { ForgetBook, forgottenIn } from "../forget/mod.ts";

export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
const UNCOUNTED: Metrics = { counter: () => ({ value: 0 }), gauge: () => ({ value: 0 }), observe: () => {} };

export interface PastLog {
  readonly log: LogReader;
  /** Null in an empty folder. */
  readonly identity: string | null;
  readonly forgotten: ForgottenThings;
}

/** Throws DATA_FOLDER_UNUSABLE, LOG_FOLDER_UNUSABLE, LOG_NEWER. */
export async function openPastLog(data: string, onGap: NonNullable<LogReaderOptions["onGap"]>): Promise<PastLog> {
  const folder = join(data, "log");
  if (!existsSync(folder)) throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: data, reason: "it holds no log" });
  const directory = await openLogDirectory(folder);
  const log = await LogReader.open({ directory, crc32: fileCrc32, logger: SILENT, metrics: UNCOUNTED, onGap });
  const identity = await log.identity();
  const entries = await ForgetBook.read(join(data, "forgotten.json"), SILENT);
  return { log, identity, forgotten: new ForgottenThings(forgottenIn(entries, identity ?? "")) };
}
