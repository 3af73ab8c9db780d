/** `tidewire log`: looks after the durable log of a platform on this machine. */
import { join } from "node:path";
import { Command } from "commander";
import type { Finding } from "../log/mod.ts";
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
  const { fileCrc32, openLogDirectory } = await import("../adapters/files/mod.ts");
  const { isDamage, verify } = await import("../log/mod.ts");
  const directory = await openLogDirectory(join(options.data, "log"));
  let damaged = 0;
  for await (const finding of verify({ directory, crc32: fileCrc32 })) {
    if (isDamage(finding)) damaged++;
    output.result(options.json === true ? JSON.stringify(finding) : sentenceOf(finding));
  }
  if (damaged > 0) process.exitCode = EXIT_DAMAGED;
}

function sentenceOf(finding: Finding): string {
  switch (finding.kind) {
    case "segment":
      return `${finding.segment}: ${finding.records} messages in ${finding.batches} batches, offsets ${finding.from} to ${finding.below - 1}, ${finding.bytes} bytes`;
    case "damage":
      return `${finding.segment}: DAMAGED at byte ${finding.position}, ${finding.bytes} bytes (${finding.reason}): offsets ${finding.from} to ${finding.below - 1} are lost; everything else is served`;
    case "unfinished end":
      return `${finding.segment}: unfinished end at byte ${finding.position}, ${finding.bytes} bytes: being written now, or cut off at the next start`;
    case "header damaged":
      return `${finding.segment}: its header is damaged; its batches are read all the same`;
    case "segment missing":
      return `MISSING: a segment between ${finding.before} and ${finding.after}`;
    case "foreign file":
      return `${finding.file}: not ours; left alone`;
    case "quarantined":
      return `${finding.file}: put aside by a recovery`;
    case "unusable":
      return `${finding.code}: ${finding.message} ${finding.fix}`;
  }
}
