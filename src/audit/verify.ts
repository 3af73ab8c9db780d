/**
 * Whether the chain is whole: every hash fits, every number follows, the files follow each other, the end is there, and it is
 * the one that was signed.
 */
import type { EpochMs } from "../base/mod.ts";
import { CHAIN_START, fits, parseLine } from "./chain.ts";
import type { Sha256 } from "./chain.ts";
import { CHECKPOINT_ACTION, checkpointText, parseCheckpoint } from "./checkpoint.ts";
import type { Checkpoint, CheckpointVerifier } from "./checkpoint.ts";
import { parseEntry } from "./entry.ts";
import type { AuditEntry } from "./entry.ts";
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
  /** The newest checkpoint in it whose signature is good: up to its entry nobody without the key has changed anything. */
  readonly proven: Checkpoint | null;
  /** When the first entry behind that was written; null: there is none. */
  readonly unprovenSince: EpochMs | null;
}

export interface SignatureCheck {
  readonly verify: CheckpointVerifier;
  /** That were kept elsewhere; what they say has to be found in the chain. */
  readonly checkpoints: readonly Checkpoint[];
}

/** An end of the chain as it was once. */
interface Known extends ChainHead {
  /** Null: its hash was noted, and by nobody signed. */
  readonly checkpoint: Checkpoint | null;
}

/** `anchors`: ends of the chain that were noted elsewhere. `signatures` null: nothing is proven by a signature. */
export async function verifyAudit(
  files: Pick<AuditFiles, "list" | "lines">,
  anchors: readonly ChainHead[],
  sha256: Sha256,
  signatures: SignatureCheck | null = null,
): Promise<AuditVerdict> {
  const check = new Check(anchors, sha256, signatures);
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
  /** By entry; as many as were given. */
  readonly #known = new Map<number, Known[]>();
  readonly #sha256: Sha256;
  readonly #signatures: Signatures | null;
  fault: string | null = null;
  #head: ChainHead = { sequence: 0, hash: CHAIN_START };
  #first: number | null = null;
  #entries = 0;
  /** A line that is none is forgiven at the very end only. */
  #half: string | null = null;
  #file: { readonly number: number; readonly isOldest: boolean; begun: boolean } | null = null;

  constructor(anchors: readonly ChainHead[], sha256: Sha256, signatures: SignatureCheck | null) {
    this.#sha256 = sha256;
    this.#signatures = signatures === null ? null : new Signatures(signatures.verify, sha256);
    for (const { sequence, hash } of anchors) this.#know({ sequence, hash, checkpoint: null });
    for (const checkpoint of signatures?.checkpoints ?? []) {
      this.fault ??= this.#signatures!.faultOf(checkpoint);
      this.#know({ sequence: checkpoint.entry, hash: checkpoint.hash, checkpoint });
    }
  }

  #know(one: Known): void {
    this.#known.set(one.sequence, [...(this.#known.get(one.sequence) ?? []), one]);
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
    const before = this.#head;
    this.#head = { sequence: entry.sequence, hash: line.hash };
    this.#entries++;
    const other = this.#known.get(entry.sequence)?.find(({ hash }) => hash !== line.hash);
    if (other !== undefined) {
      const as =
        other.checkpoint === null ? "whose hash was noted elsewhere" : `that ${nameOf(other.checkpoint)} signed`;
      this.fault ??= `${place}: entry ${entry.sequence} is not the one ${as}; the chain was made anew`;
    }
    const wrong = this.#signatures?.take(entry, before) ?? null;
    if (wrong !== null) this.fault ??= `${place}: ${wrong}`;
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
    const [missing] = [...this.#known.values()]
      .flat()
      .filter((one) => reachOf(one) > this.#head.sequence)
      .toSorted((a, b) => Number(a.checkpoint === null) - Number(b.checkpoint === null) || b.sequence - a.sequence);
    if (missing !== undefined) {
      const { checkpoint } = missing;
      const what = checkpoint === null ? "" : `, ${nameOf(checkpoint)}`;
      this.fault ??= `the end is missing: it goes to entry ${this.#head.sequence}, and went to ${reachOf(missing)}${what}`;
    }
    const { proven = null, unprovenSince = null } = this.#signatures ?? {};
    if (this.#signatures !== null && proven === null && this.#entries > 0)
      this.fault ??= `none of its ${this.#entries} entries is signed with this key`;
    const { fault } = this;
    return {
      entries: this.#entries,
      files,
      first: this.#first,
      head: this.#head,
      fault,
      unfinished: this.#half !== null,
      proven,
      unprovenSince,
    };
  }
}

/** The checkpoints in the chain, as they come. */
class Signatures {
  readonly #verify: CheckpointVerifier;
  readonly #sha256: Sha256;
  #last: Checkpoint | null = null;
  #begun = false;
  /** The chain's first entry of all is there. */
  #fromStart = false;
  proven: Checkpoint | null = null;
  unprovenSince: EpochMs | null = null;

  constructor(verify: CheckpointVerifier, sha256: Sha256) {
    this.#verify = verify;
    this.#sha256 = sha256;
  }

  /** What is wrong with it; `before`: the chain's end before this entry. */
  take(entry: AuditEntry, before: ChainHead): string | null {
    const { sequence, time, action, details } = entry;
    const isFirst = !this.#begun && sequence === 1;
    this.#begun = true;
    this.#fromStart ||= isFirst;
    if (action !== CHECKPOINT_ACTION) {
      this.unprovenSince ??= time;
      return null;
    }
    const checkpoint = parseCheckpoint(details);
    if (checkpoint === null) return "it is a checkpoint of a version that is not known here";
    const wrong = this.#faultInChain(checkpoint, before);
    this.#last = checkpoint;
    return wrong;
  }

  /** Of one that was kept elsewhere; null: it is good. */
  faultOf(checkpoint: Checkpoint): string | null {
    const isGood = this.#verify(checkpoint.key, checkpointText(checkpoint), checkpoint.signature);
    if (isGood === true) return null;
    return `${nameOf(checkpoint)} ${isGood === null ? "is signed with another key" : "has a wrong signature"} (key ${checkpoint.key})`;
  }

  #faultInChain(checkpoint: Checkpoint, before: ChainHead): string | null {
    const name = nameOf(checkpoint);
    if (checkpoint.entry !== before.sequence || checkpoint.hash !== before.hash)
      return `${name} is of another place, or of another chain`;
    const last = this.#last;
    if (last === null) {
      if (this.#fromStart && checkpoint.number !== 1)
        return `${name} is the first in it, and those before are missing; the chain was made anew`;
    } else if (checkpoint.number !== last.number + 1 || checkpoint.previous !== this.#sha256(checkpointText(last)))
      return `${name} does not follow ${nameOf(last)}`;
    const isGood = this.#verify(checkpoint.key, checkpointText(checkpoint), checkpoint.signature);
    if (isGood === null) {
      // Signed before the key that is given was made; one of that key stands for it.
      return this.proven === null ? null : `${name} is signed with a key that was not given: ${checkpoint.key}`;
    }
    if (!isGood) return `${name} has a wrong signature`;
    this.proven = checkpoint;
    this.unprovenSince = null;
    return null;
  }
}

/** A checkpoint is an entry itself, behind the one that it signs. */
function reachOf({ sequence, checkpoint }: Known): number {
  return checkpoint === null ? sequence : sequence + 1;
}

function nameOf({ number, time }: Checkpoint): string {
  return `checkpoint ${number} of ${new Date(time).toISOString()}`;
}
