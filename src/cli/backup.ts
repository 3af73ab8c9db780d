/** `tidewire backup` and `tidewire restore`: all that a platform knows, while it runs, and back again. */
import { resolve } from "node:path";
import { Command, Option, InvalidArgumentError } from "commander";
import { TidewireError } from "../base/mod.ts";
import type { BackupRepository, BucketOptions } from "../adapters/backup/mod.ts";
import { optionFault } from "./option-fault.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";

/** Exit status where something is damaged, as of `tidewire log verify`. */
const EXIT_DAMAGED = 6;

const HELP = `
The backup holds the keys of the platform: whoever can read it can become it.`;

interface ReadOptions extends BucketOptions {
  readonly in: string;
}

interface RestoreOptions extends BucketOptions {
  readonly from: string;
  readonly backup?: string;
  readonly data: string;
  readonly json?: boolean;
}

interface TakeOptions extends BucketOptions {
  readonly to: string;
  readonly data: string;
  readonly keep?: number;
  readonly anew?: boolean;
  readonly json?: boolean;
}

export function backupCommand(output: Output): Command {
  const backup = ofBucket(new Command("backup"))
    .description("back up a platform of this machine, also while it runs; only what has changed is written")
    .option("--to <place>", "where the backups are: a folder, made where it is missing, or s3://bucket/prefix")
    .option("--data <folder>", "data folder of the platform", "tidewire-data")
    .option("--keep <count>", "afterwards remove all but the newest so many", positive)
    .option("--anew", "write all contents again, also those that are there: after `verify` has found damage")
    .option("--json", "print the result as JSON")
    .addHelpText("after", HELP)
    .action((options: Partial<TakeOptions>) => take(options, output));
  backup.addCommand(
    ofBucket(new Command("list"))
      .description("the backups in a folder or bucket, oldest first")
      .requiredOption("--in <place>", "where the backups are")
      .option("--json", "print one JSON line per backup")
      .action((options: ReadOptions & { json?: boolean }) => list(options, output)),
  );
  backup.addCommand(
    ofBucket(new Command("verify"))
      .description("read backups back and compare every byte's checksum; exit status 6 if one is damaged")
      .argument("[name]", "of one backup; without it, all of them")
      .requiredOption("--in <place>", "where the backups are")
      .action((name: string | undefined, options: ReadOptions) => verify(name, options, output)),
  );
  return backup;
}

export function restoreCommand(output: Output): Command {
  return ofBucket(new Command("restore"))
    .description("make a data folder from a backup; never replaces one that is there")
    .requiredOption("--from <place>", "where the backups are: a folder, or s3://bucket/prefix")
    .option("--backup <name>", "which one (default: the newest)")
    .option("--data <folder>", "data folder to make", "tidewire-data")
    .option("--json", "print the result as JSON")
    .addHelpText("after", HELP)
    .action((options: RestoreOptions) => restore(options, output));
}

/** What a bucket needs; folders do without. */
function ofBucket(command: Command): Command {
  const of = (flags: string, text: string): Option => new Option(flags, `of a bucket: ${text}`);
  return command
    .addOption(of("--endpoint <url>", "its server (default: AWS in the region)"))
    .addOption(of("--region <name>", "its region (default: us-east-1)"))
    .addOption(of("--credentials <file>", "in the form of ~/.aws/credentials (default: AWS_ACCESS_KEY_ID and so on)"))
    .addOption(of("--ca <file>", "a CA to trust besides the system's"));
}

async function opened(
  how: "open" | "read",
  address: string,
  options: BucketOptions & Pick<TakeOptions, "anew">,
): Promise<BackupRepository> {
  const { BackupRepository, backupPlace } = await import("../adapters/backup/mod.ts");
  const { systemClock, systemScheduler } = await import("../adapters/system.ts");
  const [place, ports] = [
    backupPlace(address, options, process.env),
    { clock: systemClock, scheduler: systemScheduler },
  ];
  return how === "read" ? BackupRepository.read(place, ports) : BackupRepository.open(place, ports, options.anew);
}

async function take(options: Partial<TakeOptions>, output: Output): Promise<void> {
  const { to, data = "tidewire-data", keep } = options;
  if (to === undefined)
    throw optionFault("backup", "--to", "it names the folder or the bucket for the backups, and is missing");
  const { takeBackup } = await import("../adapters/backup/mod.ts");
  const { systemClock } = await import("../adapters/system.ts");
  const repository = await opened("open", to, options);
  try {
    const { snapshot, bytes, added } = await takeBackup({ data: resolve(data), repository, now: systemClock.now() });
    const removed = keep === undefined ? [] : await repository.keepNewest(keep);
    if (options.json === true) {
      output.result(JSON.stringify({ backup: snapshot.name, files: snapshot.files.length, bytes, added, removed }));
      return;
    }
    output.result(`${snapshot.name}: ${snapshot.files.length} files, ${size(bytes)}; ${to} grew by ${size(added)}.`);
    if (removed.length > 0) output.result(`Removed ${removed.length} older: ${removed.join(", ")}`);
  } finally {
    await repository.close();
  }
}

async function list(options: ReadOptions & { json?: boolean }, output: Output): Promise<void> {
  const repository = await opened("read", options.in, options);
  const rows: string[][] = [];
  for (const name of await repository.names()) {
    const { files, version } = await repository.snapshot(name);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    if (options.json === true) output.result(JSON.stringify({ backup: name, version, files: files.length, bytes }));
    else rows.push([name, version, String(files.length), size(bytes)]);
  }
  if (options.json !== true) output.result(table([["BACKUP", "TIDEWIRE", "FILES", "SIZE"], ...rows]));
}

async function verify(name: string | undefined, options: ReadOptions, output: Output): Promise<void> {
  const repository = await opened("read", options.in, options);
  const names = name === undefined ? await repository.names() : [name];
  for (const each of names) {
    let problems = 0;
    for await (const { path, reason } of repository.verify(each)) {
      problems++;
      output.result(`${each}: DAMAGED${path === null ? "" : ` ${path}`}: ${reason}`);
    }
    if (problems > 0) process.exitCode = EXIT_DAMAGED;
    else output.result(`${each}: whole`);
  }
}

async function restore(options: RestoreOptions, output: Output): Promise<void> {
  const { restoreBackup } = await import("../adapters/backup/mod.ts");
  const repository = await opened("read", options.from, options);
  const name = options.backup ?? (await repository.names()).at(-1);
  if (name === undefined)
    throw new TidewireError("BACKUP_UNUSABLE", { path: options.from, reason: "it holds no backup yet" });
  const snapshot = await repository.snapshot(name);
  await restoreBackup(repository, snapshot, options.data);
  if (options.json === true) output.result(JSON.stringify({ backup: name, data: resolve(options.data) }));
  else output.result(`Restored ${name} to ${options.data}. Start it: tidewire up --data ${options.data}`);
}

function size(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
  return unit === 0 ? `${bytes} bytes` : `${bytes.toFixed(1)} ${units[unit]}`;
}

function positive(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError("It must be a whole number from 1 on.");
  return count;
}
