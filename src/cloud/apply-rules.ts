/** The log's consumer for the hot path. */
import type { Logger } from "../base/mod.ts";
import type { LogBatch } from "../log/mod.ts";
import type { HotRules } from "../rules/mod.ts";
import { readRecord, recordTopic } from "../wire/record/mod.ts";

/** One batch through the hot rules. A record that no rule wants is not decoded. */
export function applyRules(rules: HotRules, batch: LogBatch, logger: Logger): void {
  batch.forEach((offset, record) => {
    try {
      if (rules.wants(recordTopic(record))) rules.handle(offset, readRecord(record));
    } catch (error) {
      logger.error("A record of the log cannot be read and is skipped by the rules.", { offset, error });
    }
  });
  rules.caughtUp(batch.baseOffset + batch.count);
}
