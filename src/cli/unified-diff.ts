/** The difference of two texts, line by line, as `diff -u` shows it. */

export type LineChange = "same" | "removed" | "added";

export interface DiffLine {
  readonly change: LineChange;
  readonly text: string;
}

export interface Hunk {
  /** First line in each text, from 1, and how many of them. */
  readonly before: readonly [start: number, count: number];
  readonly after: readonly [start: number, count: number];
  readonly lines: readonly DiffLine[];
}

const CONTEXT_LINES = 3;
/** The table of common lines has so many cells at most; beyond it all lines are shown as replaced. */
const CELLS_MAX = 4_000_000;

export function hunksOf(before: readonly string[], after: readonly string[]): Hunk[] {
  const lines = linesOf(before, after);
  const changed = lines.flatMap(({ change }, i) => (change === "same" ? [] : [i]));
  const ranges: [from: number, to: number][] = [];
  for (const at of changed) {
    const from = Math.max(0, at - CONTEXT_LINES);
    const to = Math.min(lines.length, at + CONTEXT_LINES + 1);
    const last = ranges.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = to;
    else ranges.push([from, to]);
  }
  return ranges.map(([from, to]) => {
    const count = (of: readonly DiffLine[], not: LineChange): number =>
      of.filter(({ change }) => change !== not).length;
    const ahead = lines.slice(0, from);
    const shown = lines.slice(from, to);
    const range = (not: LineChange): readonly [number, number] => {
      const size = count(shown, not);
      return [count(ahead, not) + (size === 0 ? 0 : 1), size];
    };
    return { before: range("added"), after: range("removed"), lines: shown };
  });
}

/** Longest common subsequence; what both begin and end with is left out of the table. */
function linesOf(before: readonly string[], after: readonly string[]): DiffLine[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  const shorter = Math.min(before.length, after.length) - head;
  while (tail < shorter && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const same = (text: string): DiffLine => ({ change: "same", text });
  return [
    ...before.slice(0, head).map(same),
    ...between(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...before.slice(before.length - tail).map(same),
  ];
}

function between(before: readonly string[], after: readonly string[]): DiffLine[] {
  const removed = (text: string): DiffLine => ({ change: "removed", text });
  const added = (text: string): DiffLine => ({ change: "added", text });
  const width = after.length + 1;
  if ((before.length + 1) * width > CELLS_MAX) return [...before.map(removed), ...after.map(added)];
  const common = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      common[i * width + j] =
        before[i] === after[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      lines.push({ change: "same", text: before[i++]! });
      j++;
    } else if (j >= after.length || (i < before.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) {
      lines.push(removed(before[i++]!));
    } else lines.push(added(after[j++]!));
  }
  return lines;
}
