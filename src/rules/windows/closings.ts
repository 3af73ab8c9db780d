/**
 * Closes the windows that are over a few at a time, with everybody else's work in between: 100,000 of one rule are over at the
 * same moment. Nothing else may happen to the rules meanwhile, nothing is saved and no message is taken, so that it ends as in
 * one stretch: in the same order, with the same ids, and after a crash in the middle as if it had not begun.
 */
import { LIMITS } from "../../base/mod.ts";
import type { Clock, EpochMs, Millis, Scheduler } from "../../base/mod.ts";
import type { RuleState } from "./rule-state.ts";

export interface ClosingLimits {
  readonly closeSlice: Millis;
  readonly closeSliceMax: number;
}

export interface ClosingsOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly scheduler: Pick<Scheduler, "defer">;
  readonly limits?: ClosingLimits;
  /** One slice; what happens within is saved together with all that follows until `ended`. */
  readonly inOneSave: (steps: () => void) => void;
  readonly began: () => void;
  readonly ended: () => void;
}

/** What is over in a state before a message, or by then. */
export interface Closing {
  readonly state: RuleState;
  readonly now: EpochMs;
  /** Of the next message. */
  readonly offset: number;
}

/** Between two looks at the clock. */
const WINDOWS_AT_ONCE = 8;

export class Closings {
  readonly #o: ClosingsOptions;
  readonly #limits: ClosingLimits;
  /** Bounded by the rules. */
  #queue: readonly Closing[] = [];
  #done = 0;
  #then: () => void = () => {};
  #waiters: (() => void)[] = [];
  /** What is told may end in a call of `finish`. */
  #isWithin = false;

  constructor(options: ClosingsOptions) {
    this.#o = options;
    this.#limits = options.limits ?? LIMITS.windows;
  }

  get isUnderWay(): boolean {
    return this.#done < this.#queue.length;
  }

  /** None may be under way. `then`: when all is closed. False where that is not yet so. */
  begin(closings: readonly Closing[], then: () => void): boolean {
    [this.#queue, this.#done, this.#then] = [closings, 0, then];
    if (closings.length > 0) this.#o.began();
    return this.#goOn();
  }

  /** Resolves when none is under way. */
  untilEnded(): Promise<void> {
    return this.isUnderWay ? new Promise((resolve) => this.#waiters.push(resolve)) : Promise.resolve();
  }

  /** The rest of it now, in one stretch. */
  finish(): void {
    if (!this.isUnderWay || this.#isWithin) return;
    this.#o.inOneSave(() => this.#close(Infinity, Infinity));
    this.#end();
  }

  #goOn(): boolean {
    const { closeSlice, closeSliceMax } = this.#limits;
    const until = this.#o.clock.monotonic() + closeSlice;
    this.#o.inOneSave(() => this.#close(until, closeSliceMax));
    if (this.isUnderWay) this.#o.scheduler.defer(() => this.isUnderWay && this.#goOn());
    else this.#end();
    return !this.isUnderWay;
  }

  #close(until: Millis, max: number): void {
    const { clock } = this.#o;
    this.#isWithin = true;
    for (let left = max; left > 0 && this.isUnderWay && clock.monotonic() < until;) {
      const { state, now, offset } = this.#queue[this.#done]!;
      const windows = Math.min(left, WINDOWS_AT_ONCE);
      left -= windows;
      if (state.closeSome(now, offset, windows)) this.#done++;
    }
    this.#isWithin = false;
  }

  #end(): void {
    const waiters = this.#waiters;
    const isAny = this.#queue.length > 0;
    [this.#queue, this.#done, this.#waiters] = [[], 0, []];
    this.#then();
    if (isAny) this.#o.ended();
    for (const resolve of waiters) resolve();
  }
}
