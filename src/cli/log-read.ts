/** `tidewire log tail` and `tidewire log export`: what is in the log, of a platform that runs or does not. */
import { createWriteStream, renameSync, rmSync } from "node:fs";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import { Command, InvalidArgumentError } from "commander";
import { systemClock } from "../adapters/system.ts";
import { TidewireError, isTidewireError, reasonOf } from "../base/mod.ts";
import { LineSink } from "./json-lines.ts";
import { jsonOf, sentenceOf } from "./log-lines.ts";
import type { LogLine } from "./log-lines.ts";
import { countOf, filterOf, placeOf } from "./log-options.ts";
import type { Place } from "./log-options.ts";
import { LogRecords } from "./log-records.ts";
import type { Output } from "./output.ts";
import { stopSignal } from "./stop-signal.ts";

/** How often `--follow` looks for more. */
const FOLLOW_MS = 250;
const LINES_AT_FIRST = 20;
/** Exit status where something could not be read. */
const EXIT_INCOMPLETE = 1;

interface CommonOptions {
  readonly data: string;
  readonly topic?: string;
  readonly client?: string;
  readonly all?: boolean;
}

interface TailOptions extends CommonOptions {
  readonly follow?: boolean;
  readonly since?: Place;
  readonly lines?: number;
  readonly json?: boolean;
}

interface ExportOptions extends CommonOptions {
  readonly from?: Place;
  readonly to?: Place;
  readonly format: string;
  readonly output?: string;
}

const place = (text: string): Place => placeOf(text, systemClock.now());

const ONE_LINE = `
One line of JSON per record: offset, time (when it was accepted), topic, payload with its encoding ("utf8", or "base64" where
it is not text), qos, retain, client, thing, properties. What is damaged is told on standard error, and the exit status is 1.`;

export function tailCommand(output: Output): Command {
  return common(new Command("tail"))
    .description("print the newest records, and with --follow those that come; the platform may run or not")
    .option("-f, --follow", "go on with what is written from now on, until Ctrl-C")
    .option("-n, --lines <count>", `how many of the newest (default ${LINES_AT_FIRST}; with --since: all)`, countOf)
    .option("--since <when>", "from there on: 2h or 3d ago, a time (2026-12-31T08:00Z), or an offset", place)
    .option("--json", "print JSON, one line per record, with the whole payload")
    .addHelpText("after", ONE_LINE)
    .action((options: TailOptions) => tail(options, output));
}

export function exportCommand(output: Output): Command {
  return common(new Command("export"))
    .description("write records as NDJSON to standard output or a file; the platform may run or not")
    .option("--from <when>", "the first: 3d ago, a time (2026-12-31T08:00Z), or an offset (default: the oldest)", place)
    .option("--to <when>", "the end, itself left out: likewise (default: now)", place)
    .option("--format <format>", "how it is written: ndjson", formatOf, "ndjson")
    .option("--output <file>", "write into this file; it appears when it is complete")
    .addHelpText("after", ONE_LINE)
    .action((options: ExportOptions) => exportLog(options, output));
}

function common(command: Command): Command {
  return command
    .option("--data <folder>", "data folder of the platform", "tidewire-data")
    .option("--topic <filter>", "only topics that match, as in MQTT: 'telemetry/+/#'", filterOf)
    .option("--client <id>", "only what this client, or the thing of this name, published")
    .option("--all", "the broker's own notes about QoS 2 exchanges too");
}

function formatOf(text: string): string {
  if (text !== "ndjson") throw new InvalidArgumentError("The only format is ndjson.");
  return text;
}

async function tail(options: TailOptions, output: Output): Promise<void> {
  const { since } = options;
  const wanted = { ...options, all: options.all === true, ...(since === undefined ? {} : { from: since }) };
  const records = await LogRecords.open(options.data, wanted, (text) => output.note(text));
  const lines = new Lines(process.stdout, options.json === true ? jsonOf : sentenceOf);
  const stopped = options.follow === true ? stopSignal().then(() => "stopped" as const) : null;
  let { from, below } = await records.range();
  if (since === undefined || options.lines !== undefined) {
    const last = await records.last(options.lines ?? LINES_AT_FIRST, below);
    await lines.write(last.filter(({ offset }) => offset >= from));
  } else for await (const some of records.read(from, below)) await lines.write(some);
  for (let more = stopped !== null; more && !lines.gone;) {
    if ((await Promise.race([stopped, pause(FOLLOW_MS)])) === "stopped") more = false;
    from = below;
    below = await records.end();
    for await (const some of records.read(from, below)) await lines.write(some);
  }
  if (records.damaged) process.exitCode = EXIT_INCOMPLETE;
}

async function exportLog(options: ExportOptions, output: Output): Promise<void> {
  const records = await LogRecords.open(options.data, { ...options, all: options.all === true }, (text) =>
    output.note(text),
  );
  const { from, below } = await records.range();
  if (options.output === undefined) await writeAll(records, from, below, new Lines(process.stdout, jsonOf));
  else output.note(await exportToFile(records, from, below, options.output));
  if (records.damaged) process.exitCode = EXIT_INCOMPLETE;
}

/** Under another name until it is complete: half an export is not taken for one. */
async function exportToFile(records: LogRecords, from: number, below: number, path: string): Promise<string> {
  const partial = `${path}.partial`;
  const stream = createWriteStream(partial, { mode: 0o600, flush: true });
  try {
    const lines = new Lines(stream, jsonOf);
    const failed = finished(stream);
    failed.catch(() => {}); // met below
    const count = await writeAll(records, from, below, lines);
    stream.end();
    await failed;
    renameSync(partial, path);
    return `${count} records in ${path}`;
  } catch (error) {
    stream.destroy();
    rmSync(partial, { force: true });
    if (isTidewireError(error)) throw error;
    const reason = `it cannot be written (${reasonOf(error)})`;
    throw new TidewireError("EXPORT_FAILED", { path, reason }, { cause: error });
  }
}

async function writeAll(records: LogRecords, from: number, below: number, lines: Lines): Promise<number> {
  let count = 0;
  for await (const some of records.read(from, below)) {
    count += some.length;
    await lines.write(some);
    if (lines.gone) break;
  }
  return count;
}

/** Lines on their way to a file, a terminal or another program. */
class Lines {
  readonly #sink: LineSink;
  readonly #format: (line: LogLine) => string;

  constructor(stream: Writable, format: (line: LogLine) => string) {
    this.#sink = new LineSink(stream);
    this.#format = format;
  }

  get gone(): boolean {
    return this.#sink.gone;
  }

  async write(lines: readonly LogLine[]): Promise<void> {
    for (const line of lines) this.#sink.add(this.#format(line));
    await this.#sink.flush();
  }
}
