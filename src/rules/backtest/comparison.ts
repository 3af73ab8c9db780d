/** Two rules over the same messages: what both would have fired on, and what only one of them. */
import type { EpochMs } from "../../base/mod.ts";
import type { Firing, RuleRun } from "./rule-run.ts";

/** Firings that may still meet their like; the oldest is settled beyond. */
const OPEN_MAX = 100_000;

/** A firing by what it is about. */
export interface FiringMark {
  readonly offset: number;
  readonly time: EpochMs;
  readonly topic: string;
  readonly thing: string;
}

export interface OnlyOne {
  readonly count: number;
  readonly first: readonly FiringMark[];
}

export interface ComparisonReport {
  readonly both: number;
  readonly onlyThis: OnlyOne;
  readonly onlyOther: OnlyOne;
  /** Some windows were settled before the other rule had said all: the three counts may be off by that. */
  readonly settledEarly: number;
}

type Side = "this" | "other";

class Open {
  readonly waiting = new Map<string, FiringMark>();
  readonly first: FiringMark[] = [];
  count = 0;
}

export class Comparison {
  readonly #sides: Readonly<Record<Side, Open>> = { this: new Open(), other: new Open() };
  readonly #examples: number;
  #both = 0;
  #early = 0;

  constructor(examples: number) {
    this.#examples = examples;
  }

  take(side: Side, { id, offset, time, topic, thing }: Firing): void {
    if (this.#sides[side === "this" ? "other" : "this"].waiting.delete(id)) {
      this.#both++;
      return;
    }
    const own = this.#sides[side];
    own.waiting.set(id, { offset, time, topic, thing });
    if (own.waiting.size <= OPEN_MAX) return;
    const [oldest, mark] = own.waiting.entries().next().value!;
    own.waiting.delete(oldest);
    this.#settle(own, mark);
    this.#early++;
  }

  /** After a message that both have seen: nothing of rules without state is still to come. */
  seen(one: RuleRun, other: RuleRun): void {
    if (one.sql.windows === null && other.sql.windows === null) this.#settleAll();
  }

  report(): ComparisonReport {
    this.#settleAll();
    const only = ({ count, first }: Open): OnlyOne => ({ count, first });
    return {
      both: this.#both,
      onlyThis: only(this.#sides.this),
      onlyOther: only(this.#sides.other),
      settledEarly: this.#early,
    };
  }

  #settleAll(): void {
    for (const side of [this.#sides.this, this.#sides.other]) {
      if (side.waiting.size === 0) continue;
      for (const mark of side.waiting.values()) this.#settle(side, mark);
      side.waiting.clear();
    }
  }

  #settle(side: Open, mark: FiringMark): void {
    side.count++;
    if (side.first.length < this.#examples) side.first.push(mark);
  }
}
