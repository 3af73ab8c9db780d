/** What a chart is drawn from: the lowest and the highest point of each bin, completed by what bins do not show. */
import type { EpochMs, Millis } from "../base/mod.ts";
import type { EdgeSelection, ExtremePoints, ExtremeSelection, PointRows, SeriesReader } from "./series-reader.ts";

/** What the bins themselves do not show. */
export interface EndsReader extends Pick<SeriesReader, "points"> {
  /** Of the same groups. */
  bothEdges(
    edges: readonly [first: EdgeSelection, last: EdgeSelection],
  ): Promise<readonly [first: PointRows, last: PointRows]>;
}

export interface Bin {
  readonly count: number;
  readonly lowest: number;
  readonly lowestTime: EpochMs;
  readonly highest: number;
  readonly highestTime: EpochMs;
}

interface Building {
  readonly times: EpochMs[];
  readonly values: number[];
  count: number;
  /** Those that have points, ascending. */
  readonly bins: number[];
}

export function binWidth({ from, to, bins }: Pick<ExtremeSelection, "from" | "to" | "bins">): Millis {
  return Math.max(1, Math.ceil((to - from) / bins));
}

export class ExtremeBins {
  readonly #building: Building[];

  /** `groups`: how many. */
  constructor(groups: number) {
    this.#building = Array.from({ length: groups }, nothing);
  }

  get groups(): readonly ExtremePoints[] {
    return this.#building;
  }

  /** The bins of a group in ascending order. */
  take(group: number, number: number, { count, lowest, lowestTime, highest, highestTime }: Bin): void {
    const points = this.#building[group]!;
    points.bins.push(number);
    points.count += count;
    if (lowestTime <= highestTime) put(points, "push", lowestTime, lowest);
    put(points, "push", highestTime, highest);
    if (lowestTime > highestTime) put(points, "push", lowestTime, lowest);
  }

  /** Where the bins were made of points: adds the first and the last one, and gives few as they are. */
  async complete(reader: EndsReader, selection: ExtremeSelection): Promise<void> {
    await this.#addEnds(reader, selection);
    const { groups, from, to, bins } = selection;
    // A bin shows two of its points.
    const few = this.#building.flatMap(({ count }, i) => (count > 0 && count <= bins ? [i] : []));
    if (few.length === 0) return;
    const rowsMax = few.reduce((sum, i) => sum + this.#building[i]!.count, 0);
    const rows = await reader.points({ groups: few.map((i) => groups[i]!), from, to, rowsMax });
    for (const i of few) this.#building[i] = nothing();
    for (const [row, group] of rows.groups.entries()) {
      const points = this.#building[few[group]!]!;
      points.times.push(rows.times[row]!);
      points.values.push(rows.values[row] as number);
      points.count++;
    }
  }

  /** Only the outermost bins are read again, which is less than to ask for first and last points in all. */
  async #addEnds(reader: EndsReader, selection: ExtremeSelection): Promise<void> {
    const { groups, from, to } = selection;
    const width = binWidth(selection);
    const firsts = this.#building.flatMap(({ bins }) => bins.slice(0, 1));
    const lasts = this.#building.flatMap(({ bins }) => bins.slice(-1));
    if (firsts.length === 0) return;
    const begin = from + Math.min(...firsts) * width;
    const end = Math.min(to, from + (Math.max(...lasts) + 1) * width);
    const first = { groups, side: "from", at: begin, reach: (Math.max(...firsts) + 1) * width + from - begin } as const;
    const last = { groups, side: "before", at: end, reach: end - from - Math.min(...lasts) * width } as const;
    const [firstRows, lastRows] = await reader.bothEdges([first, last]);
    for (const [rows, side] of [
      [firstRows, "unshift"],
      [lastRows, "push"],
    ] as const) {
      for (const [i, group] of rows.groups.entries()) {
        put(this.#building[group]!, side, rows.times[i]!, rows.values[i] as number);
      }
    }
  }
}

function nothing(): Building {
  return { times: [], values: [], count: 0, bins: [] };
}

/** A point that is among the last two there already is not put a second time. */
function put({ times, values }: Building, end: "push" | "unshift", time: EpochMs, value: number): void {
  const last = end === "push" ? times.length - 1 : 0;
  const next = end === "push" ? last - 1 : 1;
  if ([last, next].some((i) => times[i] === time && values[i] === value)) return;
  times[end](time);
  values[end](value);
}
