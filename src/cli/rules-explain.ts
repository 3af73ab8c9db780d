/** `tidewire rules explain`: why a message matches a rule or does not, part by part. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { nodeSqlEnvironment } from "../adapters/sql-environment.ts";
import { systemClock } from "../adapters/system.ts";
import { LIMITS, TidewireError, reasonOf } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import { MessageInput, RuleRun } from "../rules/mod.ts";
import type { RuleDraft } from "../rules/mod.ts";
import { explainAsking, explainSql, printExplanation } from "../sql/mod.ts";
import type { Explanation, ExternalName } from "../sql/mod.ts";
import { withConnection } from "./connection.ts";
import { LogRecords } from "./log-records.ts";
import { messageLine } from "./message-line.ts";
import { optionFault } from "./option-fault.ts";
import type { Output } from "./output.ts";
import { ruleFrom } from "./rule-source.ts";
import type { ConnectionOptions } from "./rule-source.ts";
import { openAnswers } from "./rules-answers.ts";

interface Options extends ConnectionOptions {
  readonly message?: string;
  readonly offset?: string;
  readonly topic?: string;
  readonly payload?: string;
  readonly config?: string;
  readonly json?: boolean;
}

export function explainCommand(output: Output): Command {
  return withConnection(new Command("explain"))
    .description("why a message matches a rule or does not: each part of WHERE with its value")
    .argument("<rule>", "a file, a statement, or a rule's name")
    .option("--offset <offset>", "a message of the log of the data folder")
    .option("--message <file>", 'a message in a file: {"topic": …, "payload": …}')
    .option("--topic <topic>", "a message of this topic, with --payload")
    .option("--payload <payload>", "its payload, as it is")
    .option("--config <file>", "of the platform: tables that the rule looks up, as they are now")
    .option("--json", "print the result as JSON")
    .action((rule: string, options: Options) => explain(rule, options, output));
}

async function explain(given: string, options: Options, output: Output): Promise<void> {
  const rule = await ruleFrom(given, options);
  const message = await messageFrom(options, output);
  const run = new RuleRun({ rule, fired: () => {} });
  const input = new MessageInput(message, LIMITS.rules, nodeSqlEnvironment());
  const { explanation, askedToday } = await explained(rule, run.sql.externals, input, options, output);
  const routed = run.wants(message.topic);
  if (askedToday.length > 0) output.note(`What ${askedToday.join(", ")} answered is of now, not of then.`);
  if (options.json === true) {
    output.result(
      JSON.stringify({
        topic: message.topic,
        routed,
        ...explanation,
        verdict: explanation.verdict ?? null,
        askedToday,
      }),
    );
    return;
  }
  const { verdict, filter } = explanation;
  const topics = `${JSON.stringify(message.topic)} ${routed ? "is" : "is not"} of ${JSON.stringify(filter)}`;
  const decision =
    verdict === null
      ? "WHERE depends on the messages before; `tidewire rules test` runs the rule over them"
      : verdict === undefined
        ? "WHERE is undecided: the message does not match"
        : `WHERE ${verdict ? "matches" : "does not match"}`;
  output.result(`${topics}\n${decision}\n${printExplanation(rule.sql, explanation)}`);
}

async function explained(
  rule: RuleDraft,
  asked: readonly ExternalName[],
  input: MessageInput,
  options: Options,
  output: Output,
): Promise<{ readonly explanation: Explanation; readonly askedToday: readonly ExternalName[] }> {
  const { sql, awsIotSqlVersion: version } = rule;
  if (asked.length === 0) return { explanation: explainSql(sql, input, version), askedToday: [] };
  const open = await openAnswers({ ...options, platform: options, also: [], kept: true }, "rules explain", output);
  const { answers } = open;
  try {
    const explanation = await explainAsking(sql, input.copy(answers.asking()), (name) => answers.asks(name), version);
    const { count, reason } = answers.unanswered;
    if (count > 0) output.note(`${count} times there was no answer; first: ${reason}`);
    return { explanation, askedToday: asked.filter((name) => answers.asks(name)) };
  } finally {
    await open.close();
  }
}

async function messageFrom(options: Options, output: Output): Promise<Message> {
  const { offset, message: file, topic, payload } = options;
  if (offset !== undefined) return messageAt(Number(offset), options.data, output);
  const line = file === undefined ? payload : contentOf(file);
  if (line === undefined || (file === undefined && topic === undefined)) {
    throw wrong("--topic", "name a message: --offset, --message, or --topic with --payload");
  }
  const read = messageLine(line, file === undefined ? topic! : null, systemClock.now());
  if (read.kind === "message") return read.message;
  throw wrong("--message", read.kind === "fault" ? read.reason : "it is a note of the broker's, not a message");
}

async function messageAt(offset: number, data: string, output: Output): Promise<Message> {
  const records = await LogRecords.open(data, { all: false }, (text) => output.note(text));
  if (Number.isSafeInteger(offset) && offset >= 0 && offset < (await records.end())) {
    for await (const [line] of records.read(offset, offset + 1)) if (line?.kind === "message") return line.message;
  }
  throw new TidewireError("NOT_FOUND", { kind: "message of the log with the offset", name: String(offset) });
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file, reason: reasonOf(error) }, { cause: error });
  }
}

function wrong(key: string, reason: string): TidewireError {
  return optionFault("rules explain", key, reason);
}
