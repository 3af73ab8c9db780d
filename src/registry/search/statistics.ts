/** Numbers about a field's values, as AWS IoT's GetStatistics and its relatives give them. */
import { numberOf } from "./values.ts";
import type { Scalar } from "./values.ts";

export interface Statistics {
  readonly count: number;
  readonly average?: number;
  readonly sum?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly sumOfSquares?: number;
  readonly variance?: number;
  readonly stdDeviation?: number;
}

export interface Percentile {
  readonly percent: number;
  readonly value: number;
}

export interface Bucket {
  readonly keyValue: string;
  readonly count: number;
}

/** Texts are only counted, as on AWS. */
export function statisticsOf(count: number, values: readonly Scalar[]): Statistics {
  const numbers = numbersOf(values);
  if (numbers.length === 0) return { count };
  let [sum, sumOfSquares, minimum, maximum] = [0, 0, Infinity, -Infinity];
  for (const number of numbers) {
    sum += number;
    sumOfSquares += number * number;
    minimum = Math.min(minimum, number);
    maximum = Math.max(maximum, number);
  }
  const average = sum / numbers.length;
  let squares = 0;
  for (const number of numbers) squares += (number - average) ** 2; // again: subtracting large sums would lose all digits
  const variance = squares / numbers.length;
  return { count, average, sum, minimum, maximum, sumOfSquares, variance, stdDeviation: Math.sqrt(variance) };
}

/** By linear interpolation between the two nearest values. */
export function percentilesOf(values: readonly Scalar[], percents: readonly number[]): readonly Percentile[] {
  const sorted = Float64Array.from(numbersOf(values)).sort();
  if (sorted.length === 0) return [];
  return percents.map((percent) => {
    const place = (percent / 100) * (sorted.length - 1);
    const below = Math.floor(place);
    const [low, high] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
    return { percent, value: low + (high - low) * (place - below) };
  });
}

/** The most frequent values first. */
export function bucketsOf(values: readonly Scalar[], maxBuckets: number): readonly Bucket[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
  return [...counts]
    .map(([keyValue, count]) => ({ keyValue, count }))
    .sort((a, b) => b.count - a.count || (a.keyValue < b.keyValue ? -1 : 1))
    .slice(0, maxBuckets);
}

function numbersOf(values: readonly Scalar[]): readonly number[] {
  return values
    .map((value) => (typeof value === "number" ? value : numberOf(String(value).toLowerCase())))
    .filter((number) => number !== null);
}
