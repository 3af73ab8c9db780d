/**
 * Which numbers of one outbox have been seen: the highest, and the gaps below it. A resent reading is recognised, one
 * that arrives late into a gap is taken, whatever the order.
 */

/** Inclusive. */
export type Gap = readonly [from: number, to: number];

export interface SequenceState {
  readonly highest: number;
  /** Ascending, disjoint, not adjacent; all below `highest`. */
  readonly gaps: readonly Gap[];
}

export class SequenceWindow {
  #highest: number;
  #gaps: [from: number, to: number][];
  readonly #gapsMax: number;

  constructor(gapsMax: number, state: SequenceState = { highest: 0, gaps: [] }) {
    this.#gapsMax = gapsMax;
    this.#highest = state.highest;
    this.#gaps = state.gaps.map(([from, to]) => [from, to]);
  }

  /** Takes `sequence` (1, 2, 3 …): true the first time, false for a repetition. */
  accept(sequence: number): boolean {
    if (sequence > this.#highest) {
      if (sequence > this.#highest + 1) this.#gaps.push([this.#highest + 1, sequence - 1]);
      this.#highest = sequence;
      if (this.#gaps.length > this.#gapsMax) this.#forget();
      return true;
    }
    return this.#fill(sequence);
  }

  state(): SequenceState {
    return { highest: this.#highest, gaps: this.#gaps.map(([from, to]) => [from, to]) };
  }

  #fill(sequence: number): boolean {
    const at = this.#find(sequence);
    const gap = this.#gaps[at];
    if (gap === undefined || sequence < gap[0]) return false;
    const [from, to] = gap;
    if (from === to) this.#gaps.splice(at, 1);
    else if (sequence === from) gap[0]++;
    else if (sequence === to) gap[1]--;
    else {
      this.#gaps.splice(at, 1, [from, sequence - 1], [sequence + 1, to]);
      if (this.#gaps.length > this.#gapsMax) this.#forget();
    }
    return true;
  }

  /**
   * Too many gaps: the two oldest become one, so what was seen between them counts as unseen. A loss is worse than a
   * double, and a double would need a resend of something that was acknowledged more than `gapsMax` gaps ago.
   */
  #forget(): void {
    const [first, second] = this.#gaps;
    if (first !== undefined && second !== undefined) this.#gaps.splice(0, 2, [first[0], second[1]]);
  }

  /** The first gap that ends at or after `sequence`. */
  #find(sequence: number): number {
    let low = 0;
    let high = this.#gaps.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#gaps[middle]![1] < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** `1042:3-7,9-9`: highest, then the gaps. */
export function formatSequenceState(state: SequenceState): string {
  return `${state.highest}:${state.gaps.map(([from, to]) => `${from}-${to}`).join(",")}`;
}

/** Throws where the text is none that `formatSequenceState` made: the store's file is damaged. */
export function parseSequenceState(text: string): SequenceState {
  const match = /^(\d{1,16}):((?:\d{1,16}-\d{1,16})(?:,\d{1,16}-\d{1,16})*)?$/.exec(text);
  if (match === null) throw new Error(`not a sequence state: '${text.slice(0, 40)}'`);
  const gaps = (match[2] ?? "").split(",").filter((part) => part !== "");
  return { highest: Number(match[1]), gaps: gaps.map((part) => part.split("-").map(Number) as [number, number]) };
}
