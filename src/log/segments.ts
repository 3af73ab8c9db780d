/** Which segments a log has, and where in them an offset lies. */
import { SEGMENT_HEADER_BYTES } from "./format.ts";

/** One index entry per so many bytes of a segment: 2,048 entries in a full one. */
const INDEX_EVERY_BYTES = 64 * 1024;

export interface IndexPoint {
  readonly offset: number;
  readonly position: number;
}

/** Some batches of a segment, by offset and position; grows as the segment is written or read. */
export class SparseIndex {
  readonly #offsets: number[];
  readonly #positions: number[];

  constructor(baseOffset: number) {
    this.#offsets = [baseOffset];
    this.#positions = [SEGMENT_HEADER_BYTES];
  }

  note(offset: number, position: number): void {
    if (position >= this.#positions.at(-1)! + INDEX_EVERY_BYTES) {
      this.#offsets.push(offset);
      this.#positions.push(position);
    }
  }

  /** The last noted batch that begins at or before `offset`. */
  floor(offset: number): IndexPoint {
    let low = 0;
    let high = this.#offsets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#offsets[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { offset: this.#offsets[low]!, position: this.#positions[low]! };
  }
}

export interface Segment {
  readonly name: string;
  readonly baseOffset: number;
  /** 0 where the header is damaged and does not say. */
  readonly createdAt: number;
  /** Where the segment before ended; below `baseOffset` where offsets were left out on purpose. */
  readonly previousEnd: number;
  readonly index: SparseIndex;
  bytes: number;
}

export function newSegment(
  found: Pick<Segment, "name" | "baseOffset" | "bytes">,
  header: Pick<Segment, "createdAt" | "previousEnd"> | null,
): Segment {
  const { name, baseOffset, bytes } = found;
  const { createdAt, previousEnd } = header ?? { createdAt: 0, previousEnd: baseOffset };
  return { name, baseOffset, createdAt, previousEnd, index: new SparseIndex(baseOffset), bytes };
}

/** All segments, oldest first. */
export class SegmentTable {
  #segments: readonly Segment[];

  constructor(segments: readonly Segment[]) {
    this.#segments = segments;
  }

  get all(): readonly Segment[] {
    return this.#segments;
  }

  get oldest(): Segment | undefined {
    return this.#segments[0];
  }

  get newest(): Segment | undefined {
    return this.#segments.at(-1);
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  replace(segments: readonly Segment[]): void {
    this.#segments = segments;
  }

  add(segment: Segment): void {
    this.#segments = [...this.#segments, segment];
  }

  drop(segment: Segment): void {
    this.#segments = this.#segments.filter((other) => other !== segment);
  }

  /** The segment in whose range `offset` lies, or the oldest one after it. */
  at(offset: number): Segment | undefined {
    const after = this.#segments.findIndex((segment) => segment.baseOffset > offset);
    if (after < 0) return this.#segments.at(-1);
    return this.#segments[Math.max(0, after - 1)];
  }

  after(segment: Segment): Segment | undefined {
    return this.#segments.find((other) => other.baseOffset > segment.baseOffset);
  }

  /** First offset that is no longer in `segment`'s range; Infinity for the newest. */
  upper(segment: Segment): number {
    return this.after(segment)?.baseOffset ?? Infinity;
  }

  /** How many of the offsets in [from, below) were left out on purpose between two segments. */
  leftOut(from: number, below: number): number {
    let count = 0;
    for (const { previousEnd, baseOffset } of this.#segments) {
      count += Math.max(0, Math.min(baseOffset, below) - Math.max(previousEnd, from));
    }
    return count;
  }
}
