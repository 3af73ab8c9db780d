/** Reads a whole log and says what is in it and what is wrong with it. Changes nothing; the log may be in use. */
import { isTidewireError } from "../base/mod.ts";
import { SEGMENT_HEADER_BYTES } from "./format.ts";
import type { LogId } from "./format.ts";
import { inspectFolder } from "./folder.ts";
import type { Folder, FoundSegment } from "./folder.ts";
import { QUARANTINE } from "./ports.ts";
import type { Crc32, LogDirectory } from "./ports.ts";
import { SegmentScanner } from "./scan.ts";
import type { DamageReason } from "./scan.ts";

export interface VerifyOptions {
  readonly directory: LogDirectory;
  readonly crc32: Crc32;
}

export type Finding =
  /** Comes once per segment, after the findings within it. `from` and `below` span its offsets. */
  | {
      readonly kind: "segment";
      readonly segment: string;
      readonly from: number;
      readonly below: number;
      readonly batches: number;
      readonly records: number;
      readonly bytes: number;
      /** Of its first and last batch, in milliseconds since 1970; `null` in an empty segment. */
      readonly firstTime: number | null;
      readonly lastTime: number | null;
    }
  /** Whole batches follow; offsets [from, below) are lost. */
  | {
      readonly kind: "damage";
      readonly segment: string;
      readonly reason: DamageReason;
      readonly position: number;
      readonly bytes: number;
      readonly from: number;
      readonly below: number;
    }
  /** The log's very end: cut off at the next start, or being written at this moment. */
  | { readonly kind: "unfinished end"; readonly segment: string; readonly position: number; readonly bytes: number }
  | { readonly kind: "header damaged"; readonly segment: string }
  | { readonly kind: "segment missing"; readonly before: string; readonly after: string }
  | { readonly kind: "foreign file"; readonly file: string }
  /** Put aside by a recovery. */
  | { readonly kind: "quarantined"; readonly file: string }
  /** The log would not open; the error's own sentence. */
  | { readonly kind: "unusable"; readonly code: string; readonly message: string; readonly fix: string };

/** Whether a finding means that something is lost, or that the log will not open. */
export function isDamage(finding: Finding): boolean {
  return finding.kind === "damage" || finding.kind === "segment missing" || finding.kind === "unusable";
}

/** Findings in the order of the offsets. Rejects only where the folder cannot be read. */
export async function* verify(options: VerifyOptions): AsyncGenerator<Finding> {
  let folder: Folder;
  try {
    folder = await inspectFolder(options.directory, options.crc32);
  } catch (error) {
    if (!isTidewireError(error)) throw error;
    yield { kind: "unusable", code: error.code, message: error.message, fix: error.fix };
    return;
  }
  for (const file of folder.foreign) yield { kind: "foreign file", file };
  for (const name of await options.directory.list()) {
    if (name.startsWith(QUARANTINE)) yield { kind: "quarantined", file: name };
  }
  for (const [index, segment] of folder.segments.entries()) {
    for (const [before, after] of folder.missing) {
      if (after === segment.name) yield { kind: "segment missing", before, after };
    }
    const next = folder.segments[index + 1];
    const upper = next?.baseOffset ?? Infinity;
    const end = next?.header?.previousEnd ?? upper;
    yield* verifySegment(options, segment, folder.logId ?? [0, 0], { upper, end });
  }
}

async function* verifySegment(
  options: VerifyOptions,
  found: FoundSegment,
  logId: LogId,
  limits: { readonly upper: number; readonly end: number },
): AsyncGenerator<Finding> {
  const { name: segment, baseOffset } = found;
  const { upper, end: expectedEnd } = limits;
  if (found.header === null && found.bytes > 0) yield { kind: "header damaged", segment };
  const file = await options.directory.open(segment, "read");
  try {
    const start = { position: SEGMENT_HEADER_BYTES, expected: baseOffset };
    const scanner = new SegmentScanner(file, { crc32: options.crc32, logId, ...start, upper, skimBelow: 0 });
    let batches = 0;
    let records = 0;
    let firstTime: number | null = null;
    let lastTime: number | null = null;
    /** Offsets below this were seen, or told to be lost. */
    let told = baseOffset;
    let step = await scanner.next();
    for (; step.kind !== "end"; step = await scanner.next()) {
      told = scanner.expected;
      if (step.kind === "batch") {
        batches++;
        records += step.header.count;
        firstTime ??= step.header.time;
        lastTime = step.header.time;
        continue;
      }
      const { reason, position, end, from } = step;
      const bytes = end - position;
      told = step.below ?? expectedEnd;
      if (step.below === null && upper === Infinity) yield { kind: "unfinished end", segment, position, bytes };
      else yield { kind: "damage", segment, reason, position, bytes, from, below: step.below ?? expectedEnd };
    }
    const { expected } = scanner;
    if (expectedEnd !== Infinity && told < expectedEnd) {
      const lost = { reason: "offsets missing", position: step.position, bytes: 0 } as const;
      yield { kind: "damage", segment, ...lost, from: expected, below: expectedEnd };
    }
    const bytes = step.position;
    yield { kind: "segment", segment, from: baseOffset, below: expected, batches, records, bytes, firstTime, lastTime };
  } finally {
    await file.close();
  }
}
