/** `tidewire rules test`: a rule over the messages of the last days, and nothing sent. */
import { nodeSqlEnvironment } from "../adapters/sql-environment.ts";
import { Command, InvalidArgumentError } from "commander";
import { stepBack, systemClock } from "../adapters/system.ts";
import { LIMITS, TidewireError, days, momentIn } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import { PastMessages } from "../cloud/backtest/mod.ts";
import { BackTest } from "../rules/mod.ts";
import { withConnection } from "./connection.ts";
import { countOf } from "./log-options.ts";
import type { Output } from "./output.ts";
import { ruleFrom } from "./rule-source.ts";
import { printedTest } from "./rules-test-text.ts";
import type { TestResult } from "./rules-test-text.ts";
import { stopSignal } from "./stop-signal.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly since: EpochMs;
  readonly until?: EpochMs;
  readonly thing?: string;
  readonly limit: number;
  readonly against?: string;
  readonly json?: boolean;
}

/** Nice value: the broker first, then whoever looks back. */
const PRIORITY = 19;
const PROGRESS_PERIOD = 1_000;
/** Exit status of a command that Ctrl-C ended. */
const EXIT_STOPPED = 130;

const NOTHING_IS_SENT = `
The rule is a file ({"sql": …, "actions": […]}, or SQL alone), a statement in quotes, or the name of a rule that the platform has.
It is run over the log and the archive of the data folder, windows included; none of its actions is executed.
  tidewire rules test hot.sql --since 7d
  tidewire rules test "SELECT * FROM 'telemetry/#' WHERE temp > 80" --against "SELECT * FROM 'telemetry/#' WHERE temp > 85"`;

export function testCommand(output: Output): Command {
  return withConnection(new Command("test"))
    .description("run a rule over past messages: how often it would have fired, on what, and when")
    .argument("<rule>", "a file, a statement, or a rule's name")
    .option(
      "--since <when>",
      "from there on: 7d, 12h ago, or a time (2027-01-31T08:00Z)",
      momentOf,
      systemClock.now() - days(7),
    )
    .option("--until <when>", "up to there, itself left out", momentOf)
    .option("--thing <name>", "only what this thing published")
    .option("--limit <count>", "how many firings to show at each end", countOf, 5)
    .option("--against <rule>", "a second rule over the same messages: what only one of them fires on")
    .option("--json", "print the result as JSON")
    .addHelpText("after", NOTHING_IS_SENT)
    .action((rule: string, options: Options) => test(rule, options, output));
}

function momentOf(text: string): EpochMs {
  const moment = momentIn(text, systemClock.now(), "back");
  if (moment === null) throw new InvalidArgumentError("It must be a time ago (7d, 12h) or a time (2027-01-31T08:00Z).");
  return moment;
}

async function test(given: string, options: Options, output: Output): Promise<void> {
  const { since: from, until, thing, limit, against: other, json } = options;
  const to = until ?? systemClock.now();
  if (from >= to) throw wrong("--since", "it must lie before --until, and before now");
  const rule = await ruleFrom(given, options);
  const against = other === undefined ? undefined : await ruleFrom(other, options);
  stepBackIfAllowed();
  const examples = Math.min(limit, 1_000);
  const backTest = new BackTest({
    rule,
    from,
    to,
    examples,
    environment: nodeSqlEnvironment(),
    ...(against === undefined ? {} : { against }),
  });
  const past = await PastMessages.open(options.data, {
    from,
    to,
    thing: thing ?? null,
    filters: backTest.topicFilters,
    wants: (topic) => backTest.wants(topic),
  });
  const run = await runThrough(past, backTest, output);
  if (run.end === "all") backTest.tick(to - (until === undefined ? LIMITS.windows.tickDelay : 0));
  const result: TestResult = {
    from,
    to,
    took: run.took,
    complete: run.end === "all",
    messages: past.counts,
    notes: [...past.notes, ...withoutProperties(past, `${rule.sql} ${against?.sql ?? ""}`)],
    ...backTest.report(),
  };
  output.result(json === true ? JSON.stringify(result) : printedTest(result));
  if (run.end === "stopped") process.exitCode = EXIT_STOPPED;
}

async function runThrough(
  past: PastMessages,
  backTest: BackTest,
  output: Output,
): Promise<{ readonly end: "all" | "stopped"; readonly took: number }> {
  let stopped = false;
  void stopSignal().then(() => (stopped = true));
  const begun = systemClock.monotonic();
  let told = begun;
  const end = await past.each(
    (offset, message) => backTest.handle(offset, message),
    ({ offset, counts }) => {
      const now = systemClock.monotonic();
      if (now - told >= PROGRESS_PERIOD) {
        told = now;
        output.note(`${counts.log + counts.archive} messages read, at offset ${offset} …`);
      }
      return !stopped;
    },
  );
  return { end, took: systemClock.monotonic() - begun };
}

/** The archive has them; its scan does not give them back as the log does. */
function withoutProperties({ counts }: PastMessages, sql: string): string[] {
  if (counts.archive === 0 || !/propert/i.test(sql)) return [];
  return ["Messages of the archive come without MQTT's properties: what asks for them is Undefined there."];
}

function wrong(key: string, reason: string): TidewireError {
  return new TidewireError("CONFIG_VALUE_INVALID", { file: "The command line", key, reason, command: "rules test" });
}

/** Not everywhere allowed, and nothing depends on it. */
function stepBackIfAllowed(): void {
  try {
    stepBack(PRIORITY);
  } catch {
    // it runs with the priority that it has
  }
}
