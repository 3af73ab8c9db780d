/** The log's consumer for the hot path: batches through the hot rules. A record that no rule wants is not decoded. */
import type { Cancel, Logger, Message } from "../base/mod.ts";
import type { LogBatch } from "../log/mod.ts";
import type { Log } from "../log/mod.ts";
import type { HotRules, ReadAgain } from "../rules/mod.ts";
import { readRecord, recordFilter, recordReader } from "../wire/record/mod.ts";
import type { RecordReader } from "../wire/record/mod.ts";

export interface RulesConsumer {
  /** Where it gives a promise, the next batch waits for it, and the bytes stay as they are. */
  take(batch: LogBatch): Promise<void> | null;
  close: Cancel;
}

type Skips = (offset: number, bytes: Uint8Array, from: number, to: number) => boolean;
type Wanted = Skips;

/** `skips`: whether a record is of a thing that is forgotten. */
export function rulesConsumer(rules: HotRules, logger: Logger, skips: Skips = () => false): RulesConsumer {
  const newReader = (): RecordReader => recordReader((topic) => rules.wants(topic));
  let read = newReader();
  const close = rules.onRulesChange(() => (read = newReader()));
  const hand = (offset: number, bytes: Uint8Array, from: number, to: number): Promise<void> | null => {
    let message: Message | null;
    try {
      message = read(bytes, from, to);
      if (message === null || skips(offset, bytes, from, to)) return null;
    } catch (error) {
      logger.error("A record of the log cannot be read and is skipped by the rules.", { offset, error });
      return null;
    }
    try {
      return rules.take(offset, message);
    } catch (error) {
      // A mistake of ours: the same message again would find it again, and hold up all that come after it.
      logger.error("The rules failed at a message; they go on with the next one.", { offset, error });
      return null;
    }
  };
  const rest = async (batch: LogBatch, places: readonly Place[], closed: Promise<void>): Promise<void> => {
    await closed;
    for (const { offset, bytes, from, to } of places) {
      for (let wait = hand(offset, bytes, from, to); wait !== null; wait = hand(offset, bytes, from, to)) await wait;
    }
    rules.caughtUp(batch.baseOffset + batch.count);
  };
  const take = (batch: LogBatch): Promise<void> | null => {
    let closed: Promise<void> | null = null;
    const places: Place[] = [];
    batch.locate((offset, bytes, from, to) => {
      closed ??= hand(offset, bytes, from, to);
      if (closed !== null) places.push({ offset, bytes, from, to });
    });
    if (closed !== null) return rest(batch, places, closed);
    rules.caughtUp(batch.baseOffset + batch.count);
    return null;
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
