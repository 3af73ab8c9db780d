/** Why the newest messages of the log match a rule or do not, each part of WHERE with its value. */
import { LIMITS, asRuleSees } from "../../base/mod.ts";
import type { Message } from "../../base/mod.ts";
import { MessageInput, RuleRun } from "../../rules/mod.ts";
import type { RuleDraft, TodaysAnswers } from "../../rules/mod.ts";
import { explainAsking, explainSql } from "../../sql/mod.ts";
import type {
  CompiledSql,
  ExternalName,
  ExplainedPart as SqlPart,
  Explanation,
  SqlEnvironment,
  SqlValue,
} from "../../sql/mod.ts";
import { RecordError, readRecord, recordFilter, skipForgotten } from "../../wire/record/mod.ts";
import type { ExplainAnswer, ExplainedMessage, ExplainedPart, RuleVerdict } from "../api/contract-rules.ts";
import { openPastLog } from "./open-log.ts";
import type { PastLog } from "./open-log.ts";
import { shortened, textOfBytes } from "./shown.ts";

export interface ExplainOrder {
  readonly data: string;
  readonly rule: RuleDraft;
  /** Messages at most. */
  readonly count: number;
}

interface Found {
  readonly offset: number;
  readonly message: Message;
}

/** Records that are looked at first; then four times as many further back, and so on. */
const FIRST_STEP = 4_096;
const { explainRecordsMax, explainPartsMax, shownCharsMax } = LIMITS.backTests;

/** Throws `SqlError`, DATA_FOLDER_UNUSABLE, LOG_FOLDER_UNUSABLE, LOG_NEWER. */
export async function explainRecent(
  order: ExplainOrder,
  environment: SqlEnvironment,
  answers: TodaysAnswers | null = null,
): Promise<ExplainAnswer> {
  const { data, rule, count } = order;
  const run = new RuleRun({ rule, fired: () => {} });
  const past = await openPastLog(data, () => {});
  const end = await past.log.end();
  const oldest = Math.max(past.log.first, end - explainRecordsMax);
  /** Newest first. */
  const found: Found[] = [];
  let begin = end;
  for (let step = FIRST_STEP; begin > oldest && found.length < count; step *= 4) {
    const from = Math.max(oldest, begin - step);
    found.push(...(await newest(past, { from, below: begin, count: count - found.length, run })).reverse());
    begin = from;
  }
  const askedToday = run.sql.externals.filter((name) => answers?.asks(name) === true);
  const messages: ExplainedMessage[] = [];
  for (const one of found) {
    const input = new MessageInput(asRuleSees(one.message), LIMITS.rules, environment);
    const asking = askedToday.length === 0 ? input : input.copy(answers!.asking());
    messages.push(await explained(rule, run.sql, one, asking, (name) => askedToday.includes(name)));
  }
  return { messages, looked: end - begin, askedToday };
}

interface Stretch {
  readonly from: number;
  readonly below: number;
  readonly count: number;
  readonly run: RuleRun;
}

/** The last ones that the rule wants. */
async function newest({ log, forgotten }: PastLog, { from, below, count, run }: Stretch): Promise<Found[]> {
  const found: Found[] = [];
  const filter = recordFilter((topic) => run.wants(topic));
  const skips = skipForgotten(forgotten);
  for await (const batch of log.readBatches(from, below)) {
    batch.locate((offset, bytes, start, stop) => {
      if (!filter(bytes, start, stop) || skips(offset, bytes, start, stop)) return;
      const message = messageIn(bytes.subarray(start, stop));
      if (message === null) return;
      found.push({ offset, message: { ...message, payload: message.payload.slice() } });
      if (found.length > count) found.shift();
    });
  }
  return found;
}

/** Null where it is no message, or of a version that this program does not know. */
function messageIn(record: Uint8Array): Message | null {
  try {
    return readRecord(record);
  } catch (error) {
    if (error instanceof RecordError) return null;
    throw error;
  }
}

async function explained(
  rule: RuleDraft,
  sql: CompiledSql,
  { offset, message }: Found,
  input: MessageInput,
  isAnswered: (name: ExternalName) => boolean,
): Promise<ExplainedMessage> {
  const asks = input.answers !== undefined;
  const explanation = asks
    ? await explainAsking(rule.sql, input, isAnswered, rule.awsIotSqlVersion)
    : explainSql(rule.sql, input, rule.awsIotSqlVersion);
  if (asks) await sql.prepare(input);
  const { topic, receivedAt, payload } = message;
  const verdict = verdictOf(explanation);
  const selected = verdict === "matched" && sql.windows === null ? sql.select(input) : null;
  return {
    offset,
    time: receivedAt,
    topic,
    thing: input.thing,
    payload: shortened(textOfBytes(payload), shownCharsMax),
    payloadBytes: payload.length,
    verdict,
    where: explanation.where.slice(0, explainPartsMax).map(partOf),
    selected: selected instanceof Uint8Array ? textOfBytes(selected) : selected === null ? null : shown(selected),
  };
}

function partOf({ text, at, depth, value, unknown, reason }: SqlPart): ExplainedPart {
  return { text, at, depth, value: shown(value), unknown, reason };
}

function verdictOf({ verdict }: Explanation): RuleVerdict {
  if (verdict === null) return "depends";
  return verdict === undefined ? "undecided" : verdict ? "matched" : "unmatched";
}

function shown(value: SqlValue): string | null {
  return value === undefined ? null : shortened(JSON.stringify(value), shownCharsMax);
}
