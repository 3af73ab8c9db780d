/** The log's consumer for the hot path: batches through the hot rules. A record that no rule wants is not decoded. */
import type { Cancel, Logger } from "../base/mod.ts";
import type { LogBatch } from "../log/mod.ts";
import type { HotRules } from "../rules/mod.ts";
import { readRecord, recordFilter } from "../wire/record/mod.ts";
import type { RecordFilter } from "../wire/record/mod.ts";

export interface RulesConsumer {
  take(batch: LogBatch): void;
  close: Cancel;
}

/** `skips`: whether a record is of a thing that is forgotten. */
export function rulesConsumer(
  rules: HotRules,
  logger: Logger,
  skips: (offset: number, bytes: Uint8Array, from: number, to: number) => boolean = () => false,
): RulesConsumer {
  const newFilter = (): RecordFilter => recordFilter((topic) => rules.wants(topic));
  let filter = newFilter();
  const close = rules.onRulesChange(() => (filter = newFilter()));
  const take = (batch: LogBatch): void => {
    batch.locate((offset, bytes, from, to) => {
      try {
        if (filter(bytes, from, to) && !skips(offset, bytes, from, to))
          rules.handle(offset, readRecord(bytes.subarray(from, to)));
      } catch (error) {
        logger.error("A record of the log cannot be read and is skipped by the rules.", { offset, error });
      }
    });
    rules.caughtUp(batch.baseOffset + batch.count);
  };
  return { take, close };
}
