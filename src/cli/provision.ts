/** `tidewire provision bulk`: a file of devices becomes a folder of devices, each ready to be copied to its machine. */
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Command, Option } from "commander";
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { ConnectionInfo } from "../cloud/api/contract.ts";
import { clientOf, withConnection } from "./connection.ts";
import { optionFault } from "./option-fault.ts";
import type { Output } from "./output.ts";
import { columnFault, provisionRows } from "./provision-bulk.ts";
import type { BulkRun, Tally, TemplateParameter } from "./provision-bulk.ts";
import { BulkFolder } from "./provision-folder.ts";
import { rowsOf } from "./provision-rows.ts";
import type { RowFormat } from "./provision-rows.ts";
import { stopSignal } from "./stop-signal.ts";

interface BulkOptions {
  readonly template: string;
  readonly out?: string;
  readonly broker?: string;
  readonly format?: RowFormat;
  readonly dryRun?: boolean;
  readonly allowKnown?: boolean;
  readonly json?: boolean;
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
}

const HELP = `
The file has a line per device, with the parameters of the provisioning template:
  CSV      first line: their names. Empty cells leave a parameter to its default. Comma, semicolon or tab, "quotes" as in spreadsheets
             SerialNumber,Site
             A-17,north
  NDJSON   an object per line: {"SerialNumber": "A-17", "Site": "north"}

Keys are made on this machine and stay here: the platform signs, and never sees one. For each device a folder below --out holds
private-key.pem (mode 0600), certificate.pem, ca.pem and agent.yaml; copy it to the device and run there: tidewire agent --config agent.yaml
--out/report.ndjson says of each line what became of it.

Interrupted (Ctrl-C, a crash, a platform that went away)? Run the same command again: what is done is not done twice, what failed is
tried again. Keep the folder as it is, .unfinished included, until all lines are done.

Exit status: 0 all lines are done, 1 some failed, 2 the file or the command line is wrong, 3 another run uses the folder, 130 interrupted.`;

/** Failed lines that are shown; all are in the report. */
const SHOWN_MAX = 20;

export function provisionCommand(output: Output): Command {
  const provision = new Command("provision").description("give many devices their identity");
  provision.addCommand(
    withConnection(new Command("bulk"))
      .description("provision every device of a CSV or NDJSON file by a template")
      .argument("<file>", "CSV or NDJSON, a line per device")
      .requiredOption("--template <name>", "provisioning template that names and equips the devices")
      .option("--out <folder>", "folder to write (needed without --dry-run)")
      .option("--broker <url>", "address under which the devices reach the platform")
      .addOption(new Option("--format <format>", "default: by the file's name").choices(["csv", "ndjson"]))
      .option("--dry-run", "only check every line: against the template and against what is registered")
      .option("--allow-known", "things that exist already get another certificate (otherwise their lines fail)")
      .option("--json", "print the result as JSON")
      .addHelpText("after", HELP)
      .action((file: string, options: BulkOptions) => bulk(file, options, output)),
  );
  return provision;
}

async function bulk(file: string, options: BulkOptions, output: Output): Promise<void> {
  const { template, dryRun = false } = options;
  const format = options.format ?? formatOf(file);
  if (options.out === undefined && !dryRun) throw wrong("--out", "it is needed without --dry-run");
  checkBroker(options.broker);
  const client = clientOf(options);
  const of = `/api/bulk-provisioning/${encodeURIComponent(template)}`;
  const { parameters } = await client.get<{ readonly parameters: readonly TemplateParameter[] }>(of);
  const connection = await client.get<ConnectionInfo>("/api/connection");
  const broker = options.broker ?? connection.mqtts;
  const renewal = `https://${new URL(broker.replace(/^mqtts:/, "https:")).hostname}:${connection.httpsPort}`;
  const columns = (names: readonly string[]): string | null => columnFault(names, parameters);
  const rows = await begun(rowsOf(chunksOf(file), format, columns, file)); // a wrong file is told before a folder is made
  const folder = dryRun ? null : new BulkFolder(resolve(options.out!));
  let stopped = false;
  void untilStopped(() => {
    stopped = true;
    output.note("Stopping after the devices that are under way…");
  });
  try {
    const tally = await provisionRows(rows, {
      client,
      template,
      allowKnown: options.allowKnown === true,
      folder,
      device: { broker, renewal, caPem: connection.caPem },
      ...tellingOf(output),
      isStopped: () => stopped,
      wait: (delay) => wait(delay),
    });
    if (folder !== null && options.broker === undefined && connection.addresses.length > 0 && tally.done > 0) {
      const others = connection.addresses.join(", ");
      output.note(`agent.yaml names ${broker}. For devices on other machines, use --broker with one of: ${others}`);
    }
    conclude(tally, { folder, stopped, json: options.json === true }, output);
  } finally {
    folder?.close();
  }
}

async function untilStopped(tell: () => void): Promise<void> {
  await stopSignal();
  tell();
}

/** What a person sees while it runs: the first failures, and at a terminal how far it is. */
function tellingOf(output: Output): Pick<BulkRun, "onFailed" | "onProgress"> {
  let shown = 0;
  return {
    onFailed: (line, reason) => {
      if (++shown <= SHOWN_MAX) output.note(`line ${line}: ${reason}`);
      else if (shown === SHOWN_MAX + 1) output.note("More lines failed; they are not shown.");
    },
    onProgress: ({ done, failed }) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${done} done, ${failed} failed\u001b[K\r`);
    },
  };
}

interface Ending {
  readonly folder: BulkFolder | null;
  readonly stopped: boolean;
  readonly json: boolean;
}

function conclude(tally: Tally, { folder, stopped, json }: Ending, output: Output): void {
  const { lines, done, before, failed } = tally;
  const report = folder?.reportPath ?? null;
  if (json) output.result(JSON.stringify({ ...tally, stopped, report }));
  else if (folder === null) output.result(`${done} of ${lines} lines can be provisioned. Nothing was changed.`);
  else {
    const earlier = before === 0 ? "" : `, ${before} were done before`;
    output.result(`${done} devices provisioned${earlier}. Their folders and report.ndjson are in ${folder.path}.`);
  }
  if (stopped) {
    output.note("Stopped. Run the same command again to go on.");
    process.exitCode = 130;
  } else if (failed > 0) {
    const why = folder === null ? "they cannot be provisioned as they are" : "the others are done";
    throw new TidewireError("BULK_INCOMPLETE", { failed, lines, why, report: report ?? "What is above" });
  }
}

/** The same, its first item read. */
async function begun<T>(items: AsyncIterator<T>): Promise<AsyncIterable<T>> {
  let item = await items.next();
  async function* all(): AsyncGenerator<T> {
    for (; item.done !== true; item = await items.next()) yield item.value;
  }
  return all();
}

async function* chunksOf(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(file) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw new TidewireError("BULK_FILE_INVALID", { file, reason: reasonOf(error) }, { cause: error });
  }
}

function formatOf(file: string): RowFormat {
  if (/\.(csv|tsv)$/i.test(file)) return "csv";
  if (/\.(ndjson|jsonl)$/i.test(file)) return "ndjson";
  throw wrong("FILE", `the name of '${file}' does not say whether it is CSV or NDJSON; add --format`);
}

function checkBroker(broker: string | undefined): void {
  if (broker === undefined || (/^mqtts:\/\/./.test(broker) && URL.canParse(broker))) return;
  throw wrong("--broker", `'${broker}' must look like mqtts://HOST:8883`);
}

function wrong(key: string, reason: string): TidewireError {
  return optionFault("provision bulk", key, reason);
}
