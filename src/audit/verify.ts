/** Whether the chain is whole: every hash fits, every number follows, the files follow each other, and the end is there. */
import { CHAIN_START, fits, parseLine } from "./chain.ts";
import type { Sha256 } from "./chain.ts";
import { parseEntry } from "./entry.ts";
import type { AuditFiles, ChainHead } from "./ports.ts";

export interface AuditVerdict {
  readonly entries: number;
  readonly files: number;
  /** The first entry that is there; 1, unless older files were removed when their time was up. */
  readonly first: number | null;
  /** Where the chain ends now: worth keeping on another machine. */
  readonly head: ChainHead;
  /** The first place that is not as it should be; null where all is. */
  readonly fault: string | null;
  /** A half line at the very end: a crash, or an entry that is being written just now. */
  readonly unfinished: boolean;
}

/** `anchors`: ends of the chain that were noted elsewhere. */
export async function verifyAudit(
  files: Pick<AuditFiles, "list" | "lines">,
  anchors: readonly ChainHead[],
  sha256: Sha256,
): Promise<AuditVerdict> {
  const check = new Check(anchors, sha256);
  const all = files.list();
  for (const [index, { number }] of all.entries()) {
    check.beginFile(number, index === 0);
    let line = 0;
    for await (const text of files.lines(number)) {
      line++;
      check.take(text, `file ${number}, line ${line}`);
      if (check.fault !== null) return check.verdict(all.length);
    }
  }
  return check.verdict(all.length);
}

class Check {
  readonly #anchors: readonly ChainHead[];
  readonly #sha256: Sha256;
  fault: string | null = null;
  #head: ChainHead = { sequence: 0, hash: CHAIN_START };
  #first: number | null = null;
  #entries = 0;
  /** A line that is none is forgiven at the very end only. */
  #half: string | null = null;
  #file: { readonly number: number; readonly isOldest: boolean; begun: boolean } | null = null;

  constructor(anchors: readonly ChainHead[], sha256: Sha256) {
    this.#anchors = anchors;
    this.#sha256 = sha256;
  }

  beginFile(number: number, isOldest: boolean): void {
    const before = this.#file;
    if (before !== null && number !== before.number + 1) this.fault ??= `file ${before.number + 1} is missing`;
    this.#file = { number, isOldest, begun: false };
  }

  take(text: string, place: string): void {
    if (this.#half !== null) this.fault ??= `${this.#half}: it is no entry`;
    const line = parseLine(text);
    if (line === null) {
      this.#half = place;
      return;
    }
    const entry = parseEntry(line.entry);
    if (entry === null) {
      this.fault ??= `${place}: it is no entry`;
      return;
    }
    const file = this.#file!;
    if (!file.begun) this.#beginWith(entry, place);
    file.begun = true;
    if (entry.sequence !== this.#head.sequence + 1) {
      this.fault ??= `${place}: entry ${this.#head.sequence + 1} is missing; what follows is entry ${entry.sequence}`;
    } else if (!fits(this.#head.hash, line, this.#sha256)) {
      this.fault ??= `${place}: entry ${entry.sequence} of ${new Date(entry.time).toISOString()} was altered, or what stood before it`;
    }
    this.#head = { sequence: entry.sequence, hash: line.hash };
    this.#entries++;
    const anchor = this.#anchors.find(({ sequence }) => sequence === entry.sequence);
    if (anchor !== undefined && anchor.hash !== line.hash) {
      this.fault ??= `${place}: entry ${entry.sequence} is not the one whose hash was noted elsewhere; the chain was made anew`;
    }
  }

  /** The oldest file says itself what it follows; what stood before it was removed when its time was up. */
  #beginWith(
    { action, details, sequence }: { action: string; details?: unknown; sequence: number },
    place: string,
  ): void {
    const { number, isOldest } = this.#file!;
    const facts = (details ?? {}) as { file?: unknown; previous?: unknown };
    if (action !== "audit.file" || facts.file !== number || typeof facts.previous !== "string") {
      this.fault ??= `${place}: the file does not begin as file ${number} did`;
      return;
    }
    if (isOldest) {
      this.#first = sequence;
      this.#head = { sequence: sequence - 1, hash: facts.previous };
      if (sequence === 1 && facts.previous !== CHAIN_START)
        this.fault ??= `${place}: the chain does not begin at its beginning`;
    } else if (facts.previous !== this.#head.hash) this.fault ??= `${place}: it does not follow the file before it`;
  }

  verdict(files: number): AuditVerdict {
    const missing = this.#anchors.find(({ sequence }) => sequence > this.#head.sequence);
    if (missing !== undefined) {
      this.fault ??= `the end is missing: it goes to entry ${this.#head.sequence}, and went to ${missing.sequence}`;
    }
    const { fault } = this;
    return {
      entries: this.#entries,
      files,
      first: this.#first,
      head: this.#head,
      fault,
      unfinished: this.#half !== null,
    };
  }
}
