/** `tidewire backup` and `tidewire restore`: all that a platform knows, while it runs, and back again. */
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { TidewireError } from "../base/mod.ts";
import type { Snapshot } from "../adapters/backup/mod.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";

/** Exit status where something is damaged, as of `tidewire log verify`. */
const EXIT_DAMAGED = 6;

const EXAMPLES = `
Examples:
  tidewire backup --to /mnt/usb/tidewire --keep 14
  tidewire backup list --in /mnt/usb/tidewire
  tidewire backup verify --in /mnt/usb/tidewire
  tidewire restore --from /mnt/usb/tidewire --data tidewire-data

The backup holds the keys of the platform: whoever can read it can become it.`;

interface TakeOptions {
  readonly to: string;
  readonly data: string;
  readonly keep?: number;
  readonly json?: boolean;
}

export function backupCommand(output: Output): Command {
  const backup = new Command("backup")
    .description("back up a platform of this machine, also while it runs; only what has changed is written")
    .option("--to <folder>", "where the backups are; made where it is missing")
    .option("--data <folder>", "data folder of the platform", "tidewire-data")
    .option("--keep <count>", "afterwards remove all but the newest so many", positive)
    .option("--json", "print the result as JSON")
    .addHelpText("after", EXAMPLES)
    .action((options: Partial<TakeOptions>) => take(options, output));
  backup.addCommand(
    new Command("list")
      .description("the backups in a folder, oldest first")
      .requiredOption("--in <folder>", "where the backups are")
      .option("--json", "print one JSON line per backup")
      .action((options: { in: string; json?: boolean }) => list(options, output)),
  );
  backup.addCommand(
    new Command("verify")
      .description("read backups back and compare every byte's checksum; exit status 6 if one is damaged")
      .argument("[name]", "of one backup; without it, all of them")
      .requiredOption("--in <folder>", "where the backups are")
      .action((name: string | undefined, options: { in: string }) => verify(name, options, output)),
  );
  return backup;
}

export function restoreCommand(output: Output): Command {
  return new Command("restore")
    .description("make a data folder from a backup; never replaces one that is there")
    .requiredOption("--from <folder>", "where the backups are")
    .option("--backup <name>", "which one (default: the newest)")
    .option("--data <folder>", "data folder to make", "tidewire-data")
    .option("--json", "print the result as JSON")
    .addHelpText("after", EXAMPLES)
    .action((options: { from: string; backup?: string; data: string; json?: boolean }) => restore(options, output));
}

async function take(options: Partial<TakeOptions>, output: Output): Promise<void> {
  const { to, data = "tidewire-data", keep } = options;
  if (to === undefined) throw new TidewireError("REQUEST_INVALID", { reason: "--to names the folder for the backups" });
  const { BackupRepository, takeBackup } = await import("../adapters/backup/mod.ts");
  const { systemClock } = await import("../adapters/system.ts");
  const repository = await BackupRepository.open(resolve(to));
  try {
    const { snapshot, bytes, added } = await takeBackup({ data: resolve(data), repository, now: systemClock.now() });
    const removed = keep === undefined ? [] : await repository.keepNewest(keep);
    if (options.json === true) {
      output.result(JSON.stringify({ backup: snapshot.name, files: snapshot.files.length, bytes, added, removed }));
      return;
    }
    output.result(
      `${snapshot.name}: ${snapshot.files.length} files, ${size(bytes)}; the folder grew by ${size(added)}.`,
    );
    if (removed.length > 0) output.result(`Removed ${removed.length} older: ${removed.join(", ")}`);
  } finally {
    repository.close();
  }
}

async function list(options: { in: string; json?: boolean }, output: Output): Promise<void> {
  const { BackupRepository } = await import("../adapters/backup/mod.ts");
  const repository = await BackupRepository.read(resolve(options.in));
  const rows: string[][] = [];
  for (const name of await repository.names()) {
    const { files, version } = await repository.snapshot(name);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    if (options.json === true) output.result(JSON.stringify({ backup: name, version, files: files.length, bytes }));
    else rows.push([name, version, String(files.length), size(bytes)]);
  }
  if (options.json !== true) output.result(table([["BACKUP", "TIDEWIRE", "FILES", "SIZE"], ...rows]));
}

async function verify(name: string | undefined, options: { in: string }, output: Output): Promise<void> {
  const { BackupRepository } = await import("../adapters/backup/mod.ts");
  const repository = await BackupRepository.read(resolve(options.in));
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

async function restore(
  options: { from: string; backup?: string; data: string; json?: boolean },
  output: Output,
): Promise<void> {
  const { BackupRepository, restoreBackup } = await import("../adapters/backup/mod.ts");
  const repository = await BackupRepository.read(resolve(options.from));
  const name = options.backup ?? (await repository.names()).at(-1);
  if (name === undefined)
    throw new TidewireError("BACKUP_UNUSABLE", { path: options.from, reason: "it holds no backup yet" });
  const snapshot: Snapshot = await repository.snapshot(name);
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
