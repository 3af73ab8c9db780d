/** `tidewire log`: looks after the durable log of a platform on this machine. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { TidewireError } from "../base/mod.ts";
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
  if (!existsSync(join(options.data, "log"))) {
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: options.data, reason: "it holds no log" });
  }
  const directory = await openLogDirectory(join(options.data, "log"));
  let damaged = 0;
  for await (const finding of verify({ directory, crc32: fileCrc32 })) {
    if (isDamage(finding)) damaged++;
    output.result(options.json === true ? JSON.stringify(finding) : sentenceOf(finding));
  }
  if (damaged > 0) process.exitCode = EXIT_DAMAGED;
}

type Sentences = { readonly [K in Finding["kind"]]: (finding: Extract<Finding, { kind: K }>) => string };

const SENTENCES: Sentences = {
  segment: ({ segment, records, batches, from, below, bytes }) =>
    `${segment}: ${records} records in ${batches} batches, offsets ${from} to ${below - 1}, ${bytes} bytes`,
  damage: ({ segment, position, bytes, reason, from, below }) =>
    `${segment}: DAMAGED at byte ${position}, ${bytes} bytes (${reason}): offsets ${from} to ${below - 1} are lost; everything else is served`,
  "unfinished end": ({ segment, position, bytes }) =>
    `${segment}: unfinished end at byte ${position}, ${bytes} bytes: being written now, or cut off at the next start`,
  "header damaged": ({ segment }) => `${segment}: its header is damaged; its batches are read all the same`,
  "segment missing": ({ before, after }) => `MISSING: a segment between ${before} and ${after}`,
  "foreign file": ({ file }) => `${file}: not ours; left alone`,
  quarantined: ({ file }) => `${file}: put aside by a recovery`,
  unusable: ({ code, message, fix }) => `${code}: ${message} ${fix}`,
};

function sentenceOf<K extends Finding["kind"]>(finding: Extract<Finding, { kind: K }>): string {
  return (SENTENCES as Record<string, (finding: Finding) => string>)[finding.kind]!(finding);
}
