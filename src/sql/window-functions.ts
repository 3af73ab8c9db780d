/** Functions of windows and of keyed state: Tidewire's additions. They have no value of one message alone. */

export interface WindowFunction {
  /** `window`: of a window's messages. `bounds`: of the window itself. `key`: of a key's messages so far. */
  readonly of: "window" | "bounds" | "key";
  readonly name: string;
  readonly signature: string;
  readonly summary: string;
  readonly argsMin: number;
  readonly argsMax: number;
  /** `*` may be its argument. */
  readonly star: { readonly argument: 0 } | undefined;
}

function define(
  of: WindowFunction["of"],
  signature: string,
  summary: string,
  args: readonly [min: number, max: number],
): WindowFunction {
  const name = signature.slice(0, signature.indexOf("("));
  return {
    of,
    name,
    signature,
    summary,
    argsMin: args[0],
    argsMax: args[1],
    star: name === "count" ? { argument: 0 } : undefined,
  };
}

const ALL: readonly WindowFunction[] = [
  define("window", "avg(x)", "The mean.", [1, 1]),
  define("window", "min(x)", "The smallest number.", [1, 1]),
  define("window", "max(x)", "The largest number.", [1, 1]),
  define("window", "sum(x)", "The sum.", [1, 1]),
  define("window", "count(x)", "How many messages have a value; with * all of them.", [1, 1]),
  define("window", "first(x)", "The value of the earliest reading.", [1, 1]),
  define("window", "last(x)", "The value of the latest reading.", [1, 1]),
  define("window", "stddev(x)", "The standard deviation of a sample; Undefined of fewer than two values.", [1, 1]),
  define("window", "median(x)", "The middle value: exact up to 256 values, then within 1 %.", [1, 1]),
  define("window", "percentile(x, p)", "What p % of the values are below: exact up to 256, then within 1 %.", [2, 2]),
  define("window", "distinct(x)", "How many different values: exact up to 256, then within about 1.6 %.", [1, 1]),
  define("window", "rate(x)", "The change per second from the first to the last value.", [1, 1]),
  define("window", "delta(x)", "The last value less the first.", [1, 1]),
  define("window", "time_weighted_avg(x)", "The mean, each value weighted by how long it held.", [1, 1]),
  define("bounds", "window_start()", "When the window begins, in milliseconds since 1970.", [0, 0]),
  define("bounds", "window_end()", "When the window ends, in milliseconds since 1970.", [0, 0]),
  define("key", "lag(x, n)", "The value n messages with one before (1 where n is left out).", [1, 2]),
  define("key", "changed(x)", "Whether the value differs from the one before; true for the first.", [1, 1]),
  define("key", "ewma(x, a)", "The moving average: a is the new value's share, or the half-life, as '30 s'.", [2, 2]),
  define("key", "zscore(x, n)", "Standard deviations from the mean of the n values before.", [2, 2]),
];

export const WINDOW_FUNCTIONS: ReadonlyMap<string, WindowFunction> = new Map(ALL.map((spec) => [spec.name, spec]));
