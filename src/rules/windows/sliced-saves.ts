/**
 * Saves the state of rules a few pages at a time, with everybody else's work in between. A round takes one rule after the other:
 * its state of the moment at which its turn came is staged in the store, page by page, and counts once a save with the checkpoint
 * names it. A crash before leaves what was saved before.
 */
import { LIMITS, reasonOf } from "../../base/mod.ts";
import type { Cancel, Clock, Counter, Millis, Scheduler } from "../../base/mod.ts";
import type { RulesStore } from "../store.ts";
import type { StateSave } from "./state-save.ts";
import type { WindowedRules } from "./windowed-rules.ts";

export interface SliceLimits {
  readonly stateSavePeriod: Millis;
  readonly stateSavePeriodMax: Millis;
  readonly stateSaveSlice: Millis;
  readonly stateSaveSlicePages: number;
  readonly stateSavePause: Millis;
}

export interface SlicedSavesOptions {
  readonly store: Pick<RulesStore, "stage">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly windows: WindowedRules;
  readonly failures: Counter;
  readonly limits?: SliceLimits;
  /** Saves what was staged with the checkpoint, now or as soon as may be. */
  readonly commit: () => void;
}

/** Saving takes at most one of so many parts of the time, and in a round one of four. */
const SAVE_SHARE = 50;
const ROUND_SHARE = 3;
/** Pages of one transaction: between two, the time is looked at. */
const PAGES_AT_ONCE = 4;

interface RuleSave {
  readonly rule: string;
  readonly save: StateSave;
}

export class SlicedSaves {
  readonly #o: SlicedSavesOptions;
  readonly #limits: SliceLimits;
  #phase: "idle" | "staging" | "committing" = "idle";
  /** Rules whose turn in this round is still to come; bounded by the rules. */
  #queue: string[] = [];
  #now: RuleSave | null = null;
  #nextRound: Millis;
  /** Time that the round has taken so far. */
  #busy: Millis = 0;
  #cancel: Cancel = () => {};

  constructor(options: SlicedSavesOptions) {
    this.#o = options;
    this.#limits = options.limits ?? LIMITS.windows;
    this.#nextRound = options.clock.monotonic() + this.#limits.stateSavePeriod;
  }

  /** After every save with the checkpoint: begins a round where it is time, ends one whose state that save has put on disk. */
  tick(): void {
    const { windows, clock } = this.#o;
    if (this.#phase === "committing" && !windows.saving) this.#end();
    if (this.#phase !== "idle" || clock.monotonic() < this.#nextRound) return;
    this.#queue = windows.waiting();
    this.#busy = 0;
    if (this.#queue.length === 0) return;
    this.#phase = "staging";
    this.#plan(0);
  }

  /** Nothing more is done; what is under way counts for nothing. */
  close(): void {
    this.#cancel();
    this.#phase = "idle";
  }

  #plan(pause: Millis): void {
    this.#cancel = this.#o.scheduler.after(pause, () => this.#slice());
  }

  #slice(): void {
    const { clock } = this.#o;
    const began = clock.monotonic();
    const more = this.#stage(began + this.#limits.stateSaveSlice);
    const took = clock.monotonic() - began;
    this.#busy += took;
    if (more) {
      this.#plan(Math.max(this.#limits.stateSavePause, took * ROUND_SHARE));
      return;
    }
    this.#phase = "committing";
    this.#o.commit();
    this.tick();
  }

  #end(): void {
    this.#phase = "idle";
    const { stateSavePeriod, stateSavePeriodMax } = this.#limits;
    const period = Math.min(stateSavePeriodMax, Math.max(stateSavePeriod, this.#busy * SAVE_SHARE));
    this.#nextRound = this.#o.clock.monotonic() + period;
  }

  /** Whether there is more to stage. */
  #stage(until: Millis): boolean {
    const { clock, windows } = this.#o;
    let room = this.#limits.stateSaveSlicePages;
    while (room > 0 && clock.monotonic() < until) {
      if (this.#now === null || this.#now.save.isOver) {
        const rule = this.#queue.shift();
        if (rule === undefined) return false;
        const save = windows.beginSave(rule);
        this.#now = save === null ? null : { rule, save };
        room--; // without pages it takes its time, too
        continue;
      }
      room -= this.#stagePages(this.#now);
      if (this.#now.save.isWritten) this.#now = null;
    }
    return this.#now !== null || this.#queue.length > 0;
  }

  /** Returns how many. */
  #stagePages({ rule, save }: RuleSave): number {
    const { store, windows, failures } = this.#o;
    const pages: (readonly [page: number, body: Uint8Array])[] = [];
    while (pages.length < PAGES_AT_ONCE) {
      const page = save.next();
      if (page === null) break;
      pages.push(page);
    }
    try {
      if (pages.length > 0) store.stage(rule, pages);
    } catch (error) {
      failures.value++;
      windows.refuse({ rule, reason: reasonOf(error) });
    }
    return pages.length;
  }
}
