/** Aggregates that are a few numbers: how a value is added, two stretches are joined, and what comes out. */
import type { AggregateName, StateValue } from "../../sql/mod.ts";
import type { NumericRule } from "./aggregate.ts";

function known(value: number): StateValue {
  return Number.isFinite(value) ? value : undefined;
}

const SUM: Omit<NumericRule, "result"> = {
  empty: [0, 0],
  add(data, at, value) {
    data[at] = data[at]! + value;
    data[at + 1] = data[at + 1]! + 1;
  },
  merge(data, into, from) {
    data[into] = data[into]! + data[from]!;
    data[into + 1] = data[into + 1]! + data[from + 1]!;
  },
};

/** The first and the last value by event time; of two at the same time, the one that came first or last. */
const ENDS: Omit<NumericRule, "result"> = {
  empty: [Number.NaN, 0, Number.NaN, 0], // first time, first value, last time, last value
  add(data, at, value, time) {
    if (!(time >= data[at]!)) {
      data[at] = time;
      data[at + 1] = value;
    }
    if (!(time < data[at + 2]!)) {
      data[at + 2] = time;
      data[at + 3] = value;
    }
  },
  merge(data, into, from) {
    if (Number.isNaN(data[from]!)) return;
    ENDS.add(data, into, data[from + 1]!, data[from]!);
    ENDS.add(data, into, data[from + 3]!, data[from + 2]!);
  },
};

/** Welford's and Chan's formulas: no difference of two large sums. */
const SPREAD: Omit<NumericRule, "result"> = {
  empty: [0, 0, 0], // count, mean, sum of squared distances
  add(data, at, value) {
    const count = data[at]! + 1;
    const distance = value - data[at + 1]!;
    data[at] = count;
    data[at + 1] = data[at + 1]! + distance / count;
    data[at + 2] = data[at + 2]! + distance * (value - data[at + 1]!);
  },
  merge(data, into, from) {
    const a = data[into]!;
    const b = data[from]!;
    if (b === 0) return;
    const distance = data[from + 1]! - data[into + 1]!;
    data[into] = a + b;
    data[into + 1] = data[into + 1]! + (distance * b) / (a + b);
    data[into + 2] = data[into + 2]! + data[from + 2]! + (distance * distance * a * b) / (a + b);
  },
};

function extreme(better: (a: number, b: number) => boolean): NumericRule {
  const take = (data: Float64Array, at: number, value: number): void => {
    if (Number.isNaN(data[at]!) || better(value, data[at]!)) data[at] = value;
  };
  return {
    empty: [Number.NaN],
    add: take,
    merge: (data, into, from) => {
      if (!Number.isNaN(data[from]!)) take(data, into, data[from]!);
    },
    result: (data, at) => known(data[at]!),
  };
}

export const NUMERIC_RULES: Readonly<
  Record<Extract<AggregateName, "avg" | "sum" | "min" | "max" | "stddev" | "rate" | "delta">, NumericRule>
> = {
  avg: { ...SUM, result: (data, at) => known(data[at]! / data[at + 1]!) },
  sum: { ...SUM, result: (data, at) => (data[at + 1] === 0 ? undefined : known(data[at]!)) },
  min: extreme((a, b) => a < b),
  max: extreme((a, b) => a > b),
  /** Of a sample: divided by n - 1. One value has no spread. */
  stddev: {
    ...SPREAD,
    result: (data, at) => (data[at]! < 2 ? undefined : known(Math.sqrt(data[at + 2]! / (data[at]! - 1)))),
  },
  delta: {
    ...ENDS,
    result: (data, at) => (Number.isNaN(data[at]!) ? undefined : known(data[at + 3]! - data[at + 1]!)),
  },
  /** Per second; one point in time has no rate. */
  rate: {
    ...ENDS,
    result: (data, at) => known((data[at + 3]! - data[at + 1]!) / ((data[at + 2]! - data[at]!) / 1000)),
  },
};
