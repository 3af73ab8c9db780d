/** `tidewire scrub`: whether every file of a data folder is as it was written, also while the platform runs. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { systemClock, systemScheduler } from "../adapters/system.ts";
import type { ScrubFinding, ScrubReport } from "../adapters/scrub/mod.ts";
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { Output } from "./output.ts";

/** Exit status where something is damaged, as of `tidewire log verify`. */
const EXIT_DAMAGED = 6;

interface Options {
  readonly data: string;
  readonly fast?: boolean;
  readonly json?: boolean;
}

const DETAILS = `
Looked through are the databases (page by page) and their write-ahead logs, the log, the audit log, secrets and manifests. Telemetry and the
archive are compared by the platform itself, once a day, as it does this by itself too (\`scrubEvery\`): health tells what is found.`;

export function scrubCommand(output: Output): Command {
  return new Command("scrub")
    .description(
      "read what a data folder holds and compare it with its checksums; changes nothing; exit status 6 if anything is damaged",
    )
    .option("--data <folder>", "data folder of a platform or an agent, which may be running", "tidewire-data")
    .option("--fast", "as fast as the disk gives it; else at a rate that leaves the disk to the platform")
    .option("--json", "print the result as JSON")
    .addHelpText("after", DETAILS)
    .action((options: Options) => scrub(options, output));
}

async function scrub({ data, fast, json }: Options, output: Output): Promise<void> {
  if (!["registry.db", "outbox.db"].some((name) => existsSync(join(data, name))))
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: data, reason: "it holds no platform's or agent's data" });
  const { scrubFolder } = await import("../adapters/scrub/mod.ts");
  const report = await scrubFolder({
    data: resolve(data),
    bytesPerSecondMax: fast === true ? null : LIMITS.scrub.bytesPerSecondMax,
    clock: systemClock,
    scheduler: systemScheduler,
  });
  if (json === true) output.result(JSON.stringify(report));
  else print(report, output);
  if (report.findings.length > 0) process.exitCode = EXIT_DAMAGED;
}

function print({ files, bytes, findings, more, unverified }: ScrubReport, output: Output): void {
  for (const finding of findings) output.result(sentenceOf(finding));
  if (more > 0) output.result(`… and ${more} more.`);
  for (const file of unverified) output.note(`${file} has no page checksums; the next start makes them.`);
  if (findings.length === 0) output.result(`Whole: ${files} files, ${bytes} bytes.`);
}

function sentenceOf({ file, place, reason, fix }: ScrubFinding): string {
  return `DAMAGED: ${file}${place === "" ? "" : `, ${place}`}: ${reason}. ${fix}`;
}
