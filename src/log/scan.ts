/**
 * Walks the batches of one segment, tells damage from data, and finds the next whole batch behind damage.
 * Recovery, consumers, readers and `verify` all see a segment through this.
 */
import { BATCH_HEADER_BYTES, BATCH_MAGIC, bodyIsWhole, readBatchHeader, sameLog } from "./format.ts";
import type { BatchHeader, LogId } from "./format.ts";
import { PADDING, PADDING_BYTES_MAX } from "./ports.ts";
import type { Crc32, LogFile } from "./ports.ts";
import { FileWindow } from "./window.ts";

export type DamageReason =
  /** A batch begins here whose header is not whole. */
  | "header damaged"
  /** The header is whole, the records behind it are not. */
  | "records damaged"
  /** The file ends within a batch. */
  | "cut short"
  /** Whole, but its offsets were there before. */
  | "offsets repeated"
  /** Whole, but its offsets belong to the next segment. */
  | "overlaps the next segment"
  /** Nothing damaged to be seen, yet offsets are left out. */
  | "offsets missing";

export interface BatchStep {
  readonly kind: "batch";
  /** Of its header, in the file. */
  readonly position: number;
  readonly header: BatchHeader;
}

export interface DamageStep {
  readonly kind: "damage";
  readonly reason: DamageReason;
  /** The damaged range in the file; empty where bytes are missing altogether. */
  readonly position: number;
  readonly end: number;
  /** Offsets from here … */
  readonly from: number;
  /** … to below here cannot be served. `null` where no whole batch follows that would say so. */
  readonly below: number | null;
}

export type ScanStep = BatchStep | DamageStep | { readonly kind: "end"; readonly position: number };

export interface ScanOptions {
  readonly crc32: Crc32;
  readonly logId: LogId;
  /** Where to begin: the position of a batch header, and the offset that is expected there. */
  readonly position: number;
  readonly expected: number;
  /** First offset of the next segment; Infinity in the last one. */
  readonly upper: number;
  /** The records of batches that end at or below this offset are skipped over unseen. */
  readonly skimBelow: number;
}

type Probe =
  | BatchStep
  | { readonly kind: "end" }
  /** `resume`: where the next batch must begin if the header can be believed, else `null`. */
  | { readonly kind: "fault"; readonly reason: DamageReason; readonly resume: number | null };

export class SegmentScanner {
  readonly #window: FileWindow;
  readonly #options: ScanOptions;
  #position: number;
  #expected: number;

  constructor(file: LogFile, options: ScanOptions) {
    this.#window = new FileWindow(file);
    this.#options = options;
    this.#position = options.position;
    this.#expected = options.expected;
  }

  /** The first offset not yet passed. */
  get expected(): number {
    return this.#expected;
  }

  /** The window's bytes; a batch step's body begins at `bodyIndex`. Valid until the next call of `next`. */
  get bytes(): Uint8Array {
    return this.#window.bytes;
  }

  get view(): DataView {
    return this.#window.view;
  }

  bodyIndex(step: BatchStep): number {
    return this.#window.indexOf(step.position + BATCH_HEADER_BYTES);
  }

  async next(): Promise<ScanStep> {
    const start = this.#position;
    let at = start;
    let fault: DamageReason | null = null;
    for (;;) {
      const probe: Probe = await this.#probe(at);
      if (probe.kind === "batch") {
        const { baseOffset, count, bodyBytes } = probe.header;
        if (fault === null && baseOffset === this.#expected) {
          this.#position = at + BATCH_HEADER_BYTES + bodyBytes;
          this.#expected = baseOffset + count;
          return probe;
        }
        // What lies before it is told first; the batch itself comes with the next call.
        const from = this.#expected;
        this.#position = at;
        this.#expected = baseOffset;
        return {
          kind: "damage",
          reason: fault ?? "offsets missing",
          position: start,
          end: at,
          from,
          below: baseOffset,
        };
      }
      if (probe.kind === "end") {
        if (fault === null) return { kind: "end", position: at };
        this.#position = at;
        return { kind: "damage", reason: fault, position: start, end: at, from: this.#expected, below: null };
      }
      fault ??= probe.reason;
      at = probe.resume ?? (await this.#search(at + 1));
    }
  }

  /**
   * The next batch header from `position` on, its records unseen; `null` where there is none. For who looks for a place in
   * the segment, not for its records: the scan itself stays where it is.
   */
  async headerFrom(position: number): Promise<BatchStep | null> {
    const at = await this.#search(position);
    if ((await this.#window.load(at, BATCH_HEADER_BYTES)) < BATCH_HEADER_BYTES) return null;
    const header = this.#headerAt(at);
    return header === null ? null : { kind: "batch", position: at, header };
  }

  async #probe(at: number): Promise<Probe> {
    const seen = await this.#look(at);
    if (seen.kind === "batch") return seen;
    // What was read ahead may have been padding, or half written, and be a batch by now.
    this.#window.forget();
    return await this.#look(at);
  }

  async #look(at: number): Promise<Probe> {
    const { crc32, upper, skimBelow } = this.#options;
    const window = this.#window;
    const there = await window.load(at, BATCH_HEADER_BYTES);
    if (there <= 0) return { kind: "end" };
    const header = there < BATCH_HEADER_BYTES ? null : this.#headerAt(at);
    if (header === null) {
      if (await this.#isPadding(at)) return { kind: "end" };
      if (there < BATCH_HEADER_BYTES) return { kind: "fault", reason: "cut short", resume: at + there };
      return { kind: "fault", reason: "header damaged", resume: null };
    }
    const end = at + BATCH_HEADER_BYTES + header.bodyBytes;
    const next = header.baseOffset + header.count;
    if (next > upper) return { kind: "fault", reason: "overlaps the next segment", resume: end };
    if (next > skimBelow) {
      // Nothing is trusted about the length before the file is known to have it: a body may be huge only on paper.
      const whole = await window.load(at, BATCH_HEADER_BYTES + header.bodyBytes);
      if (whole < BATCH_HEADER_BYTES + header.bodyBytes) return { kind: "fault", reason: "cut short", resume: null };
      const from = window.indexOf(at + BATCH_HEADER_BYTES);
      const body = window.bytes.subarray(from, from + header.bodyBytes);
      const sound =
        crc32(body) === header.bodyCrc && bodyIsWhole(window.view, from, from + header.bodyBytes, header.count);
      if (!sound) return { kind: "fault", reason: "records damaged", resume: end };
    }
    if (header.baseOffset < this.#expected) return { kind: "fault", reason: "offsets repeated", resume: end };
    return { kind: "batch", position: at, header };
  }

  /** Whether nothing but padding stands between `at` and the end of the file. */
  async #isPadding(at: number): Promise<boolean> {
    const window = this.#window;
    if (window.bytes[window.indexOf(at)] !== PADDING) return false;
    const there = await window.load(at, PADDING_BYTES_MAX);
    if (there >= PADDING_BYTES_MAX) return false;
    const from = window.indexOf(at);
    return window.bytes.subarray(from, from + there).every((byte) => byte === PADDING);
  }

  /** The next position from `from` at which a plausible batch header stands, or the end of the file. */
  async #search(from: number): Promise<number> {
    const window = this.#window;
    let at = from;
    for (;;) {
      const there = await window.load(at, BATCH_HEADER_BYTES);
      if (there < BATCH_HEADER_BYTES) return at + Math.max(0, there);
      const first = window.indexOf(at);
      const last = first + there - BATCH_HEADER_BYTES;
      let index = window.bytes.indexOf(BATCH_MAGIC[0]!, first);
      while (index >= 0 && index <= last) {
        const position = at + index - first;
        const header = this.#headerAt(position);
        // Not below what is expected: records may hold copies of earlier batches, never of later ones.
        if (header !== null && header.baseOffset >= this.#expected) return position;
        index = window.bytes.indexOf(BATCH_MAGIC[0]!, index + 1);
      }
      at += last - first + 1;
    }
  }

  #headerAt(position: number): BatchHeader | null {
    const window = this.#window;
    const header = readBatchHeader(window.bytes, window.view, window.indexOf(position), this.#options.crc32);
    return header !== null && sameLog(header.logId, this.#options.logId) ? header : null;
  }
}
