/** What a statement asks of its runtime beyond one message: windows, keyed state, patterns. Tidewire's additions. */
import type { JsonValue, Millis } from "../base/mod.ts";
import type { SqlInput } from "./input.ts";
import type { WindowShape } from "./window-shape.ts";

/** What state keeps: numbers are doubles. */
export type StateValue = JsonValue | undefined;

export type AggregateName =
  | "avg"
  | "min"
  | "max"
  | "sum"
  | "count"
  | "first"
  | "last"
  | "stddev"
  | "median"
  | "percentile"
  | "distinct"
  | "rate"
  | "delta"
  | "time_weighted_avg";

export interface AggregateSpec {
  readonly name: AggregateName;
  /** What is aggregated; null for `count(*)`. */
  readonly of: ((input: SqlInput) => StateValue) | null;
  /** `percentile(x, p)`: p from 0 to 100; else 0. */
  readonly parameter: number;
}

export type KeyedSpec = { readonly of: (input: SqlInput) => StateValue } & (
  | { readonly name: "lag"; readonly back: number }
  | { readonly name: "changed" }
  /** Either a fixed share of the new value, or the time after which the old ones count half. */
  | { readonly name: "ewma"; readonly alpha: number; readonly halfLife: null }
  | { readonly name: "ewma"; readonly alpha: null; readonly halfLife: Millis }
  /** Against the `count` values before. */
  | { readonly name: "zscore"; readonly count: number }
);

export type Pattern =
  /** WHERE … FOR: true without interruption for so long; once per episode. */
  | { readonly kind: "hold"; readonly span: Millis }
  /** ABSENT FOR: no message that WHERE matches for so long, of a key that was seen before; once per silence. */
  | { readonly kind: "absent"; readonly span: Millis }
  /** WHERE … THEN … WITHIN: the conditions after WHERE, in order. */
  | {
      readonly kind: "sequence";
      readonly span: Millis;
      readonly steps: readonly ((input: SqlInput) => boolean | undefined)[];
    };

/**
 * Slots: what `evaluate` needs and no message has. A statement's expressions read them from `input.slots`: first the
 * values of the keys, then window_start, window_end, then the aggregates, then the keyed functions.
 */
export interface WindowPlan {
  /** What the state means, as text: a rule with an equal one may go on with it. */
  readonly definition: string;
  /** TIMESTAMP BY; null: the reading's own time, else the time of acceptance. */
  readonly time: ((input: SqlInput) => StateValue) | null;
  /** GROUP BY without the window; null: by thing. An empty list is one group of all. */
  readonly keys: readonly ((input: SqlInput) => StateValue)[] | null;
  readonly shape: WindowShape | null;
  /** How long after its end a window waits for messages that are late. */
  readonly lateness: Millis;
  /** `final`: once, when nothing can change it any more. `changes`: after each message, with what is there so far. */
  readonly emit: "final" | "changes";
  readonly aggregates: readonly AggregateSpec[];
  readonly keyed: readonly KeyedSpec[];
  readonly pattern: Pattern | null;
  /** To be called before a message or a timer is looked at; null where it need not be. */
  readonly begin: (() => void) | null;
  where(input: SqlInput): boolean | undefined;
  having(input: SqlInput): boolean | undefined;
  select(input: SqlInput): JsonValue | Uint8Array;
}

/** Where the slots of a plan begin. */
export function slotsOf(plan: Pick<WindowPlan, "keys" | "aggregates">): {
  readonly start: number;
  readonly end: number;
  readonly aggregates: number;
  readonly keyed: number;
} {
  const start = plan.keys?.length ?? 0;
  return { start, end: start + 1, aggregates: start + 2, keyed: start + 2 + plan.aggregates.length };
}
