/** `tidewire rules test`: a rule over the messages of the last days, and nothing sent. */
import { nodeSqlEnvironment } from "../adapters/sql-environment.ts";
import { Command } from "commander";
import { stepBack, systemClock } from "../adapters/system.ts";
import { days } from "../base/mod.ts";
import type { TidewireError } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import type { PastTestProgress, PastTestResult } from "../cloud/backtest/mod.ts";
import { withConnection } from "./connection.ts";
import { countOf } from "./log-options.ts";
import { optionFault } from "./option-fault.ts";
import type { Output } from "./output.ts";
import { ruleFrom } from "./rule-source.ts";
import { openAnswers } from "./rules-answers.ts";
import { printedTest } from "./rules-test-text.ts";
import { stopSignal } from "./stop-signal.ts";
import { agoOf } from "./time-options.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly since?: EpochMs;
  readonly until?: EpochMs;
  readonly thing?: string;
  readonly limit: number;
  readonly against?: string;
  readonly config?: string;
  readonly callFunctions?: boolean;
  readonly json?: boolean;
}

/** Nice value: the broker first, then whoever looks back. */
const PRIORITY = 19;
const PROGRESS_PERIOD = 1_000;
const SINCE_AT_FIRST = days(7);
/** Exit status of a command that Ctrl-C ended. */
const EXIT_STOPPED = 130;

const NOTHING_IS_SENT = `
The rule is a file ({"sql": …, "actions": […]}, or SQL alone), a statement in quotes, or the name of a rule that the platform has.
It is run over the log and the archive of the data folder, windows included; none of its actions is executed. Shadows and registry are
asked of the platform where it runs: what is asked has today's answer, not that of then, and the result says so.`;

export function testCommand(output: Output): Command {
  return withConnection(new Command("test"))
    .description("run a rule over past messages: how often it would have fired, on what, and when")
    .argument("<rule>", "a file, a statement, or a rule's name")
    .option("--since <when>", "from there on: 12h ago, or a time (2026-12-31T08:00Z) (default: 7d)", agoOf)
    .option("--until <when>", "up to there, itself left out: likewise (default: now)", agoOf)
    .option("--thing <name>", "only what this thing published")
    .option("--limit <count>", "how many firings to show at each end", countOf, 5)
    .option("--against <rule>", "a second rule over the same messages: what only one of them fires on")
    .option("--config <file>", "of the platform: tables that the rule looks up, as they are today")
    .option("--call-functions", "also call the functions of that file: they are called for messages of the past")
    .option("--json", "print the result as JSON")
    .addHelpText("after", NOTHING_IS_SENT)
    .action((rule: string, options: Options) => test(rule, options, output));
}

async function test(given: string, options: Options, output: Output): Promise<void> {
  const { until, thing, limit, against: other, json } = options;
  const now = systemClock.now();
  const { from, to } = { from: options.since ?? now - SINCE_AT_FIRST, to: until ?? now };
  if (from >= to) throw wrong("--since", "it must lie before --until, and before now");
  const rule = await ruleFrom(given, options);
  const against = other === undefined ? null : await ruleFrom(other, options);
  stepBackIfAllowed();
  const order = {
    data: options.data,
    rule,
    against,
    from,
    to,
    untilNow: until === undefined,
    thing: thing ?? null,
    examples: Math.min(limit, 1_000),
  };
  const also = options.callFunctions === true ? (["function", "aws_lambda"] as const) : [];
  const open = await openAnswers({ ...options, platform: options, also, kept: true }, "rules test", output);
  const ports = {
    clock: systemClock,
    environment: nodeSqlEnvironment(),
    answers: open.answers,
    goOn: goOnWhile(output),
  };
  const { testOnPast } = await import("../cloud/backtest/past-test.ts"); // a database engine, for no other command of rules
  let result: PastTestResult;
  try {
    result = await testOnPast(order, ports);
  } finally {
    await open.close();
  }
  output.result(json === true ? JSON.stringify(result) : printedTest(result));
  if (!result.complete) process.exitCode = EXIT_STOPPED;
}

/** Until Ctrl-C, with a line now and then. */
function goOnWhile(output: Output): (progress: PastTestProgress) => boolean {
  let stopped = false;
  void stopSignal().then(() => (stopped = true));
  let told = systemClock.monotonic();
  return ({ offset, counts }) => {
    const now = systemClock.monotonic();
    if (now - told >= PROGRESS_PERIOD) {
      told = now;
      output.note(`${counts.log + counts.archive} messages read, at offset ${offset} …`);
    }
    return !stopped;
  };
}

function wrong(key: string, reason: string): TidewireError {
  return optionFault("rules test", key, reason);
}

/** Not everywhere allowed, and nothing depends on it. */
function stepBackIfAllowed(): void {
  try {
    stepBack(PRIORITY);
  } catch {
    // it runs with the priority that it has
  }
}
