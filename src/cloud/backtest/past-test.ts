/** A rule over the messages of a data folder, beside a second one where two are compared: nothing is sent. */
import { LIMITS } from "../../base/mod.ts";
import type { Clock, EpochMs, Millis } from "../../base/mod.ts";
import { BackTest } from "../../rules/mod.ts";
import type { BackTestReport, RuleDraft, TodaysAnswers } from "../../rules/mod.ts";
import type { SqlEnvironment } from "../../sql/mod.ts";
import { PastMessages } from "./past-messages.ts";
import type { PastCounts, PastProgress } from "./past-messages.ts";

export interface PastTestOrder {
  readonly data: string;
  readonly rule: RuleDraft;
  readonly against: RuleDraft | null;
  /** Messages accepted in [from, to). */
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** `to` is the present: what came just before may still be on its way into the log. */
  readonly untilNow: boolean;
  /** Only what this thing published; null: of all. */
  readonly thing: string | null;
  /** Firings that are shown at each end. */
  readonly examples: number;
}

export interface PastTestResult extends BackTestReport {
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly took: Millis;
  /** False where it was stopped. */
  readonly complete: boolean;
  readonly messages: PastCounts;
  /** What is not there, and what is left out. */
  readonly notes: readonly string[];
}

export interface PastTestProgress extends PastProgress {
  /** When the newest message was accepted that a rule has seen; null before the first. */
  readonly at: EpochMs | null;
}

export interface PastTestPorts {
  readonly clock: Pick<Clock, "monotonic">;
  readonly environment: SqlEnvironment;
  /** To what the rules ask; without it that is Undefined. */
  readonly answers?: TodaysAnswers | undefined;
  /** Called between batches; where it returns false nothing more is read. */
  readonly goOn: (progress: PastTestProgress) => boolean;
}

/** Throws `SqlError`, DATA_FOLDER_UNUSABLE, LOG_FOLDER_UNUSABLE, LOG_NEWER. */
export async function testOnPast(order: PastTestOrder, ports: PastTestPorts): Promise<PastTestResult> {
  const { data, rule, against, from, to, untilNow, thing, examples } = order;
  const { clock, environment, answers, goOn } = ports;
  const more = { ...(against === null ? {} : { against }), ...(answers === undefined ? {} : { answers }) };
  const backTest = new BackTest({ rule, from, to, examples, environment, ...more });
  const past = await PastMessages.open(data, {
    from,
    to,
    thing,
    filters: backTest.topicFilters,
    wants: (topic) => backTest.wants(topic),
  });
  const begun = clock.monotonic();
  let at: EpochMs | null = null;
  const end = await past.each(
    (offset, message) => {
      at = message.receivedAt;
      backTest.handle(offset, message);
    },
    async (progress) => {
      const asked = (): boolean => goOn({ ...progress, at });
      if (backTest.asks) await backTest.settle(asked);
      return asked();
    },
  );
  await backTest.settle(() => end === "all");
  const took = clock.monotonic() - begun;
  if (end === "all") backTest.tick(to - (untilNow ? LIMITS.windows.tickDelay : 0));
  const notes = [...past.notes, ...withoutProperties(past, `${rule.sql} ${against?.sql ?? ""}`)];
  return { from, to, took, complete: end === "all", messages: past.counts, notes, ...backTest.report() };
}

/** The archive has them; its scan does not give them back as the log does. */
function withoutProperties({ counts }: PastMessages, sql: string): string[] {
  if (counts.archive === 0 || !/propert/i.test(sql)) return [];
  return ["Messages of the archive come without MQTT's properties: what asks for them is Undefined there."];
}
