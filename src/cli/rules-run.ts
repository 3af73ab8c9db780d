/** `tidewire rules run`: a rule as a filter over lines of JSON; no platform is needed. */
import { nodeSqlEnvironment } from "../adapters/sql-environment.ts";
import type { Readable, Writable } from "node:stream";
import { Command } from "commander";
import { systemClock, systemScheduler } from "../adapters/system.ts";
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import { RuleRun } from "../rules/mod.ts";
import type { Firing } from "../rules/mod.ts";
import { LineSink, linesOf } from "./json-lines.ts";
import { messageLine } from "./message-line.ts";
import type { Output } from "./output.ts";
import { localRule } from "./rule-source.ts";
import { openAnswers } from "./rules-answers.ts";

interface Options {
  readonly topic?: string;
  readonly values?: boolean;
  readonly live?: boolean;
  readonly config?: string;
  readonly data?: string;
}

/** Exit status where lines could not be read. */
const EXIT_INCOMPLETE = 1;
/** How often time goes on where no line comes. */
const TICK_PERIOD = 250;
/** Faulty lines that are told one by one. */
const FAULTS_TOLD_MAX = 10;
/** Past every window's end. */
const END_OF_TIME = 8_640_000_000_000_000;

const LINES = `
A line is {"topic": …, "payload": …} with "time" (ISO 8601, or milliseconds), "thing" and "client" where they matter; what
\`tidewire log export\` writes is read as it is. Results are such lines too. With the end of the input all windows are closed.`;

export function runCommand(output: Output): Command {
  return new Command("run")
    .description("run a rule as a filter: lines of JSON from standard input, results to standard output")
    .argument("<rule>", "a file of SQL or JSON, or a statement")
    .option("--topic <topic>", "the lines are payloads, published to this topic")
    .option("--values", "print what SELECT gives, and nothing around it")
    .option("--live", "time goes on with the clock where no line comes")
    .option("--config <file>", "tables, functions and secrets that the rule asks, as in the file of `tidewire up`")
    .option("--data <folder>", "has the programs of its functions (default: the file's `data`)")
    .addHelpText("after", LINES)
    .action(async (rule: string, options: Options) => {
      process.exitCode = await runRule(rule, options, { input: process.stdin, sink: process.stdout, output });
    });
}

interface Streams {
  readonly input: Readable;
  readonly sink: Writable;
  readonly output: Output;
}

/** Returns the exit status. */
export async function runRule(given: string, options: Options, { input, sink, output }: Streams): Promise<number> {
  const rule = localRule(given);
  if (rule === null)
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file: given, reason: "there is no such file" });
  const lines = new LineSink(sink);
  const kept = options.live !== true;
  const also = ["function", "aws_lambda", "get_secret"] as const;
  const open =
    options.config === undefined
      ? null
      : await openAnswers({ ...options, platform: null, also, kept }, "rules run", output);
  const run = new RuleRun({
    rule,
    environment: nodeSqlEnvironment(),
    ...(open === null ? {} : { answers: open.answers }),
    fired: (firing) => lines.add(lineOf(firing, options.values === true)),
  });
  const unasked = run.sql.externals.filter((name) => open?.answers.asks(name) !== true);
  if (unasked.length > 0) output.note(`${unasked.join(", ")} cannot be asked here: Undefined`);
  const tick = (): void => {
    run.tick(systemClock.now() - LIMITS.windows.tickDelay);
    void lines.flush();
  };
  const cancel = options.live === true ? systemScheduler.every(TICK_PERIOD, tick) : () => {};
  try {
    const { faults, newest } = await each(input, options.topic ?? null, run, lines, output);
    if (lines.gone) return 0;
    // Silence and what lasts are not known to go on when the input has ended; a window is known to be over.
    const windowed = run.sql.windows !== null && run.sql.windows.shape !== null;
    run.tick(windowed ? END_OF_TIME : newest);
    await lines.flush();
    if (faults > FAULTS_TOLD_MAX) output.note(`${faults} lines were left out.`);
    const { count, reason } = open?.answers.unanswered ?? { count: 0, reason: null };
    if (count > 0) output.note(`${count} times there was no answer; first: ${reason}`);
    if (run.failure !== null) output.note(`It failed on ${run.counts.failed}; the first time: ${run.failure}`);
    return faults + run.counts.failed > 0 ? EXIT_INCOMPLETE : 0;
  } finally {
    cancel();
    await open?.close();
  }
}

async function each(
  input: Readable,
  topic: string | null,
  run: RuleRun,
  lines: LineSink,
  output: Output,
): Promise<{ readonly faults: number; readonly newest: EpochMs }> {
  let number = 0;
  let faults = 0;
  let newest = 0;
  let offset = 0;
  for await (const line of linesOf(input)) {
    number++;
    const read = line === null ? null : messageLine(line, topic, systemClock.now());
    if (read?.kind === "message") {
      newest = Math.max(newest, read.message.receivedAt);
      if (run.wants(read.message.topic)) {
        if (run.asks) run.take(offset, await run.ask(read.message));
        else run.handle(offset, read.message);
      }
      offset++;
      await lines.flush();
      if (lines.gone) break;
    } else if (read?.kind !== "note") {
      if (++faults <= FAULTS_TOLD_MAX) output.note(`Line ${number} is left out: ${read?.reason ?? "it is too long"}.`);
    }
  }
  return { faults, newest };
}

function lineOf({ topic, thing, time, value }: Firing, valuesOnly: boolean): string {
  const bytes = value instanceof Uint8Array;
  const payload = bytes ? Buffer.from(value).toString("base64") : value;
  if (valuesOnly) return JSON.stringify(payload);
  const encoding = bytes ? { encoding: "base64" } : {};
  return JSON.stringify({ topic, payload, ...encoding, thing, time: new Date(time).toISOString() });
}
