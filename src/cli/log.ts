/** `tidewire log`: looks after the durable log of a platform on this machine. */
import { join } from "node:path";
import { Command } from "commander";
import { fileCrc32, openLogDirectory } from "../adapters/files/mod.ts";
import { verify } from "../log/mod.ts";
import type { Output } from "./output.ts";

/** Exit status where something is damaged. */
const EXIT_DAMAGED = 6;

export function logCommand(output: Output): Command {
  const log = new Command("log").description("the durable log of a platform on this machine");
  log.addCommand(
    new Command("verify")
      .description("read every byte and report what is damaged; changes nothing; exit status 6 if there is any")
      .option("--data <folder>", "data folder of the platform", "tidewire-data")
      .option("--json", "print one JSON line per finding")
      .action((options: { data: string; json?: boolean }) => verifyLog(options, output)),
  );
  return log;
}

async function verifyLog(options: { data: string; json?: boolean }, output: Output): Promise<void> {
  const directory = await openLogDirectory(join(options.data, "log"));
  let damaged = 0;
  for await (const finding of verify({ directory, crc32: fileCrc32 })) {
    if (finding.kind !== "ok") damaged++;
    output.result(options.json === true ? JSON.stringify(finding) : finding.sentence);
  }
  if (damaged > 0) process.exitCode = EXIT_DAMAGED;
}
