/** The log's consumer for the hot path: batches through the hot rules. A record that no rule wants is not decoded. */
import type { Cancel, Logger } from "../base/mod.ts";
import type { LogBatch } from "../log/mod.ts";
import type { Log } from "../log/mod.ts";
import type { HotRules, ReadAgain } from "../rules/mod.ts";
import { readRecord, recordFilter, recordReader } from "../wire/record/mod.ts";
import type { RecordReader } from "../wire/record/mod.ts";

export interface RulesConsumer {
  take(batch: LogBatch): void;
  close: Cancel;
}

type Skips = (offset: number, bytes: Uint8Array, from: number, to: number) => boolean;
type Wanted = Skips;

/** `skips`: whether a record is of a thing that is forgotten. */
export function rulesConsumer(rules: HotRules, logger: Logger, skips: Skips = () => false): RulesConsumer {
  const newReader = (): RecordReader => recordReader((topic) => rules.wants(topic));
  let read = newReader();
  const close = rules.onRulesChange(() => (read = newReader()));
  const take = (batch: LogBatch): void => {
    batch.locate((offset, bytes, from, to) => {
      try {
        const message = read(bytes, from, to);
        if (message !== null && !skips(offset, bytes, from, to)) rules.handle(offset, message);
      } catch (error) {
        logger.error("A record of the log cannot be read and is skipped by the rules.", { offset, error });
      }
    });
    rules.caughtUp(batch.baseOffset + batch.count);
  };
  return { take, close };
}

/** The log once more, for a rule that is behind with what it asks: a consumer of its own, which waits where the rule does. */
export function readingAgain(log: Pick<Log, "consume">, logger: Logger, skips: Skips): ReadAgain {
  return (reading) => {
    const filter = recordFilter((topic) => reading.wants(topic));
    const isWanted: Wanted = (offset, bytes, from, to) => filter(bytes, from, to) && !skips(offset, bytes, from, to);
    const take = async (batch: LogBatch): Promise<void> => {
      for (const { offset, bytes, from, to } of wantedOf(batch, isWanted)) {
        let taken: Promise<void> | null = null;
        try {
          taken = reading.take(offset, readRecord(bytes.subarray(from, to)));
        } catch (error) {
          logger.error("A record of the log cannot be read and is skipped by the rules.", { offset, error });
        }
        if (taken !== null) await taken;
      }
      const passed = reading.passed(batch.baseOffset + batch.count);
      if (passed !== null) await passed;
    };
    const consumer = log.consume(reading.from, take, "rules that are behind");
    return () => void consumer.close();
  };
}

interface Place {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/** Bounded by the batch. */
function wantedOf(batch: LogBatch, isWanted: Wanted): Place[] {
  const places: Place[] = [];
  batch.locate((offset, bytes, from, to) => {
    if (isWanted(offset, bytes, from, to)) places.push({ offset, bytes, from, to });
  });
  return places;
}
