/** A line of a few dozen values, without axes: shape only, the number stands beside it. */
import type { EpochMs } from "../../base/mod.ts";

export interface SparkPoint {
  readonly time: EpochMs;
  readonly value: number;
}

const WIDTH = 96;
const HEIGHT = 24;

export interface SparklineProps {
  readonly points: readonly SparkPoint[];
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** Percent values keep their scale of 0 to 100, so that calm looks calm. */
  readonly percent: boolean;
  /** Longer silence breaks the line. */
  readonly gap: number;
}

export function Sparkline(props: SparklineProps) {
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden="true">
      <path d={sparkPath(props)} />
    </svg>
  );
}

export function sparkPath({ points, from, to, percent, gap }: SparklineProps): string {
  const shown = points.filter((point) => point.time >= from && point.time <= to);
  const values = shown.map((point) => point.value);
  const low = percent ? 0 : Math.min(...values);
  const high = percent ? 100 : Math.max(...values);
  let path = "";
  let previous = -Infinity;
  for (const { time, value } of shown) {
    const x = ((time - from) / (to - from)) * WIDTH;
    const y = high === low ? HEIGHT / 2 : HEIGHT - 2 - ((value - low) / (high - low)) * (HEIGHT - 4);
    path += `${time - previous > gap ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    previous = time;
  }
  return path;
}
