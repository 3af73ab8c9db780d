/** `tidewire log`: looks after the durable log of a platform on this machine. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { TidewireError } from "../base/mod.ts";
import type { Finding } from "../log/mod.ts";
import { exportCommand, tailCommand } from "./log-read.ts";
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
  log.addCommand(tailCommand(output));
  log.addCommand(exportCommand(output));
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
  const kept: Kept = { kind: "kept", records: 0, bytes: 0, from: null, below: null, since: null, until: null };
  for await (const finding of verify({ directory, crc32: fileCrc32 })) {
    if (isDamage(finding)) damaged++;
    if (finding.kind === "segment") addTo(kept, finding);
    output.result(options.json === true ? JSON.stringify(finding) : sentenceOf(finding));
  }
  output.result(options.json === true ? JSON.stringify(kept) : sentenceOfKept(kept));
  if (damaged > 0) process.exitCode = EXIT_DAMAGED;
}

/** What the log has as a whole: the last line. Times are those of its first and last batch. */
interface Kept {
  readonly kind: "kept";
  records: number;
  bytes: number;
  from: number | null;
  below: number | null;
  since: number | null;
  until: number | null;
}

function addTo(kept: Kept, segment: Extract<Finding, { kind: "segment" }>): void {
  kept.records += segment.records;
  kept.bytes += segment.bytes;
  kept.from ??= segment.from;
  kept.below = segment.below;
  kept.since ??= segment.firstTime;
  kept.until = segment.lastTime ?? kept.until;
}

function sentenceOfKept({ records, bytes, from, below, since, until }: Kept): string {
  if (since === null || until === null) return "Kept: no records.";
  const times = `since ${new Date(since).toISOString()}, until ${new Date(until).toISOString()}`;
  return `Kept: ${records} records, offsets ${from} to ${below! - 1}, ${times}, ${bytes} bytes`;
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
