/** The log's segments, as the store process reads them. */
import type { Counter, Gauge, Logger, Metrics } from "../../base/mod.ts";
import { fileCrc32, openLogDirectory } from "../../adapters/files/mod.ts";
import { LogReader } from "../../log/mod.ts";
import type { RecordSource } from "./ports.ts";

/** Nobody scrapes this process; what matters of it is in `StoreCounters`. */
const NO_METRICS: Metrics = {
  counter: (): Counter => ({ value: 0 }),
  gauge: (): Gauge => ({ value: 0 }),
  observe: () => {},
};

/** Opened when first needed: the platform may make the log while this process starts. */
export function openRecordSource(folder: string, logger: Logger): RecordSource {
  let reader: Promise<LogReader> | null = null;
  let present: LogReader | null = null;
  const open = async (): Promise<LogReader> => {
    const directory = await openLogDirectory(folder);
    return LogReader.open({ directory, crc32: fileCrc32, logger, metrics: NO_METRICS });
  };
  const opened = async (): Promise<LogReader> => {
    reader ??= open();
    try {
      return (present = await reader);
    } catch (error) {
      reader = null; // another attempt may fare better
      throw error;
    }
  };
  return {
    first: async () => (await opened()).first,
    identity: async () => (await opened()).identity(),
    async *readBatches(from, below) {
      yield* (await opened()).readBatches(from, below);
    },
    leftOut: (from, below) => present?.leftOut(from, below) ?? 0,
  };
}
