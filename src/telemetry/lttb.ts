/**
 * Fewer points that draw the same picture: MinMaxLTTB (Van Der Donckt, Van der Donckt, Rademaker, Van Hoecke: "MinMaxLTTB:
 * Leveraging MinMax-Preselection to Scale LTTB for Time Series Visualization", 2023, arXiv:2305.00332). The store preselects
 * lowest and highest points of equal stretches of time; among those, Largest-Triangle-Three-Buckets (Steinarsson,
 * "Downsampling Time Series for Visual Representation", 2013) chooses. Beyond the papers the global lowest and highest
 * point always stay: alarms are about those.
 */
import type { EpochMs } from "../base/mod.ts";

/** Preselected per chosen point: the paper finds no visible difference from 4 on. */
export const PRESELECTION_RATIO = 4;

/** Indices of at most `max` (at least 3) points, ascending: first, last, lowest, highest, and what LTTB takes. */
export function chooseForChart(times: readonly EpochMs[], values: readonly number[], max: number): readonly number[] {
  const count = times.length;
  if (count <= max) return times.map((_, i) => i);
  let lowest = 0;
  let highest = 0;
  for (let i = 1; i < count; i++) {
    if (values[i]! < values[lowest]!) lowest = i;
    if (values[i]! > values[highest]!) highest = i;
  }
  const always = new Set([0, lowest, highest, count - 1]);
  const room = max - [lowest, highest].filter((i) => i > 0 && i < count - 1).length;
  const chosen = room >= 2 ? lttb(times, values, room) : [lowest, highest];
  const all = [...new Set([...chosen, ...always])].sort((a, b) => a - b);
  return all.length <= max ? all : all.filter((i) => i === lowest || i === highest || i === count - 1).slice(-max);
}

/** `size` ≥ 2 of more points. */
function lttb(times: readonly EpochMs[], values: readonly number[], size: number): number[] {
  const count = times.length;
  const chosen = [0];
  const every = (count - 2) / Math.max(1, size - 2);
  let last = 0;
  for (let bucket = 0; bucket < size - 2; bucket++) {
    const from = Math.floor(bucket * every) + 1;
    const end = Math.floor((bucket + 1) * every) + 1;
    const nextEnd = Math.min(Math.floor((bucket + 2) * every) + 1, count);
    let sumTime = 0;
    let sumValue = 0;
    for (let i = end; i < nextEnd; i++) {
      sumTime += times[i]!;
      sumValue += values[i]!;
    }
    const [time, value] = [sumTime / (nextEnd - end), sumValue / (nextEnd - end)];
    let largest = -1;
    let best = from;
    for (let i = from; i < end; i++) {
      // Twice the triangle's area; which is larger is all that counts.
      const area = Math.abs(
        (times[last]! - time) * (values[i]! - values[last]!) - (times[last]! - times[i]!) * (value - values[last]!),
      );
      if (area > largest) {
        largest = area;
        best = i;
      }
    }
    chosen.push(best);
    last = best;
  }
  chosen.push(count - 1);
  return chosen;
}
