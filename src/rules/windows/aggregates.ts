/** From a statement's aggregates to their columns. */
import { toNumber } from "../../sql/mod.ts";
import type { AggregateSpec, StateValue } from "../../sql/mod.ts";
import { HeldAggregate, NumericAggregate } from "./aggregate.ts";
import type { Aggregate, NumericRule } from "./aggregate.ts";
import { DistinctCounter } from "./distinct-counter.ts";
import { EndValue } from "./end-value.ts";
import { NUMERIC_RULES } from "./numeric-rules.ts";
import { QuantileSketch } from "./quantile-sketch.ts";
import { StepIntegral } from "./step-integral.ts";

const COUNT: NumericRule = {
  empty: [0],
  add: (data, at) => {
    data[at] = data[at]! + 1;
  },
  merge: (data, into, from) => {
    data[into] = data[into]! + data[from]!;
  },
  result: (data, at) => data[at]!,
};

/** Whatever is there counts once. */
const presence = (value: StateValue): number | undefined => (value === undefined || value === null ? undefined : 1);

export function aggregateOf(spec: AggregateSpec): Aggregate {
  switch (spec.name) {
    case "count":
      return new NumericAggregate(COUNT, presence);
    case "first":
    case "last": {
      const end = spec.name;
      return new HeldAggregate(() => new EndValue(end));
    }
    case "median":
      return new HeldAggregate(() => new QuantileSketch(50, toNumber));
    case "percentile":
      return new HeldAggregate(() => new QuantileSketch(spec.parameter, toNumber));
    case "distinct":
      return new HeldAggregate(() => new DistinctCounter());
    case "time_weighted_avg":
      return new HeldAggregate(() => new StepIntegral(toNumber));
    case "avg":
    case "min":
    case "max":
    case "sum":
    case "stddev":
    case "rate":
    case "delta":
      return new NumericAggregate(NUMERIC_RULES[spec.name], toNumber);
  }
}
