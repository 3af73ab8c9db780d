/** The checkpoints that this platform signs: which was the last one, and whether the chain still holds it. */
import type { EpochMs, Logger } from "../base/mod.ts";
import { reasonOf } from "../base/mod.ts";
import type { Sha256 } from "./chain.ts";
import { parseLine } from "./chain.ts";
import { CHECKPOINT_ACTION, checkpointJson, parseCheckpoint, signCheckpoint } from "./checkpoint.ts";
import type { Checkpoint, CheckpointSigner } from "./checkpoint.ts";
import { parseEntry } from "./entry.ts";
import type { AuditAnchor, AuditFiles, ChainHead } from "./ports.ts";

export interface CheckpointsOptions {
  readonly files: Pick<AuditFiles, "list" | "lines">;
  /** Apart from the files; what stands there is signed, so nobody makes it but us. */
  readonly note: AuditAnchor;
  readonly sha256: Sha256;
  readonly logger: Logger;
}

/** What the note says before the first one. */
const NONE_YET = "none";

export class Checkpoints {
  readonly #o: CheckpointsOptions;
  #signer: CheckpointSigner | null = null;
  #last: Checkpoint | null = null;
  /** The chain's newest entry that is a checkpoint. */
  #entry = 0;

  constructor(options: CheckpointsOptions) {
    this.#o = options;
  }

  get signer(): CheckpointSigner | null {
    return this.#signer;
  }

  get last(): Checkpoint | null {
    return this.#last;
  }

  /**
   * Signs from now on. Returns why what is there is not what was signed before, in words; null: it is. Either way the
   * numbers go on from the last one that is known, so that a chain which was made anew does not verify.
   */
  async begin(signer: CheckpointSigner): Promise<string | null> {
    const { note } = this.#o;
    const text = note.read();
    const noted = parseNote(text);
    if (text === null || noted === undefined) this.#keep(NONE_YET);
    const found = await this.#newest(noted?.entry ?? 0);
    const isThere = noted === null || noted === undefined || found.some((one) => one.signature === noted.signature);
    const [newest = null] = found.toSorted((a, b) => b.number - a.number);
    this.#entry = newest === null ? 0 : newest.entry + 1;
    // A crash came between the chain and the note.
    this.#last = (noted?.number ?? 0) > (newest?.number ?? 0) ? noted! : newest;
    this.#signer = signer;
    if (noted === undefined) return "the note of the last checkpoint cannot be read";
    if (text === null && (!signer.isNew || newest !== null)) return "the note of the last checkpoint is gone";
    return isThere ? null : `checkpoint ${noted.number}, which signed entry ${noted.entry}, is not in it`;
  }

  /** Null where there is nothing new to sign, or nobody to sign it. */
  sign(head: ChainHead, time: EpochMs): Checkpoint | null {
    if (this.#signer === null || head.sequence === this.#entry) return null;
    return signCheckpoint(this.#signer, this.#last, head, time, this.#o.sha256);
  }

  /** It is in the chain, on disk. */
  written(checkpoint: Checkpoint): void {
    this.#last = checkpoint;
    this.#entry = checkpoint.entry + 1; // it stands behind the one that it signs
    const json = checkpointJson(checkpoint);
    this.#keep(JSON.stringify(json));
    // Whoever collects the log has it outside of this machine.
    this.#o.logger.info("A checkpoint of the audit log was signed.", json);
  }

  /** A disk that takes nothing now takes the next one. */
  #keep(text: string): void {
    try {
      this.#o.note.write(text);
    } catch (error) {
      this.#o.logger.warn("The checkpoint of the audit log cannot be noted.", { reason: reasonOf(error) });
    }
  }

  /** Those in the newest files, back to the one that has this entry. */
  async #newest(entry: number): Promise<readonly Checkpoint[]> {
    const { files } = this.#o;
    const found: Checkpoint[] = [];
    for (const { number } of files.list().toReversed()) {
      let first = Infinity;
      for await (const text of files.lines(number)) {
        // Cheap for the millions of others.
        if (first !== Infinity && !text.includes(CHECKPOINT_ACTION)) continue;
        const line = parseLine(text);
        const said = line === null ? null : parseEntry(line.entry);
        if (said === null) continue;
        first = Math.min(first, said.sequence);
        const checkpoint = said.action === CHECKPOINT_ACTION ? parseCheckpoint(said.details) : null;
        if (checkpoint !== null) found.push(checkpoint);
      }
      if (found.length > 0 && first <= entry + 1) break;
      if (entry === 0 && found.length > 0) break;
    }
    return found;
  }
}

/** Null: there was none yet; undefined: it is no note. */
function parseNote(text: string | null): Checkpoint | null | undefined {
  if (text === null || text === NONE_YET) return null;
  try {
    return parseCheckpoint(JSON.parse(text)) ?? undefined;
  } catch {
    return undefined;
  }
}
