/**
 * The rules that keep state: what each has, when it is saved, and from where it goes on. After a crash a rule's state is
 * older than the checkpoint: the messages between are read again, and what they lead to was told before and is not told again.
 */
import { LIMITS, parseJson, reasonOf } from "../../base/mod.ts";
import type { Clock, EpochMs, JsonLimits, Logger, Metrics, Millis } from "../../base/mod.ts";
import type { WindowPlan } from "../../sql/mod.ts";
import { RuleState } from "./rule-state.ts";
import type { Outcome, StateLimits } from "./rule-state.ts";
import { readHeader } from "./snapshot.ts";
import type { StateSnapshot } from "./snapshot.ts";
import type { StateInput } from "./state-input.ts";

/** A rule's state as it is saved. */
export interface SavedWindows {
  readonly rule: string;
  /** Null: the rule has no state any more. */
  readonly snapshot: StateSnapshot | null;
  /** What was saved of the rule before is gone. */
  readonly replaces: boolean;
}

export interface WindowedRulesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly parsing: JsonLimits;
  readonly limits?: StateLimits & WindowTimes;
  /** Must not throw. */
  readonly tell: (rule: string, outcome: Outcome, input: StateInput) => void;
}

export interface WindowTimes {
  readonly stateSavePeriod: Millis;
  readonly stateSavePeriodMax: Millis;
  readonly tickDelay: Millis;
}

export interface MadeState {
  readonly state: RuleState;
  /** Hears what the state finds; must not throw. */
  tell: (outcome: Outcome, input: StateInput) => void;
}

interface Windowed {
  readonly state: RuleState;
  /** The log is needed from here to make again what is not saved. */
  savedPosition: number;
  /** Nothing of it is on disk, or something else. */
  replaces: boolean;
  /** It leaves, and stands still. */
  parked: boolean;
}

/** State whose position lags that far behind is saved, or the log could not be cleaned up. */
const LAG_MAX = 100_000;
/** Saving takes at most one of so many parts of the time. */
const SAVE_SHARE = 50;

export class WindowedRules {
  readonly #o: WindowedRulesOptions;
  readonly #limits: StateLimits & WindowTimes;
  /** Bounded by the rules. */
  readonly #rules = new Map<string, Windowed>();
  /** Read at the start, for rules that are not put yet. */
  readonly #stored = new Map<string, StateSnapshot>();
  /** Rules whose state is to be removed from the disk. */
  readonly #gone = new Set<string>();
  /** Rules whose state is there before they are put. */
  readonly #entered = new Set<string>();
  /** Told before the last stop: messages below, and timers due until. */
  #toldBelow = 0;
  #toldUntil: EpochMs = -Infinity;
  #nextSave: Millis = 0;
  #saveBegan: Millis = 0;

  constructor(options: WindowedRulesOptions) {
    this.#o = options;
    this.#limits = options.limits ?? LIMITS.windows;
    const sum = (of: (state: RuleState) => number) => (): number => {
      let total = 0;
      for (const { state } of this.#rules.values()) total += of(state);
      return total;
    };
    const dropped = { name: "tidewire_window_messages_dropped", help: "Messages that no window took, by reason" };
    const { metrics } = options;
    for (const reason of ["late", "crowded", "keyless"] as const) {
      metrics.observe(
        { ...dropped, labels: { reason } },
        sum((state) => state.counts[reason]),
      );
    }
    const evicted = "Keys of rules that went at a limit of keys or memory";
    metrics.observe(
      { name: "tidewire_window_keys_evicted", help: evicted },
      sum((state) => state.counts.evicted),
    );
    metrics.observe(
      { name: "tidewire_window_keys", help: "Keys that rules keep state of" },
      sum((state) => state.keys),
    );
    metrics.observe(
      { name: "tidewire_window_bytes", help: "About what rules' state takes" },
      sum((state) => state.bytes),
    );
  }

  /** What was due until then was told before the last stop. */
  get toldUntil(): EpochMs {
    return this.#toldUntil;
  }

  /** Before any rule is put. `toldBelow`: the checkpoint; `toldUntil`: see `told`. */
  start(stored: readonly SavedWindows[], toldBelow: number, toldUntil: EpochMs | null): void {
    for (const { rule, snapshot } of stored) if (snapshot !== null) this.#stored.set(rule, snapshot);
    this.#toldBelow = toldBelow;
    this.#toldUntil = toldUntil ?? -Infinity;
  }

  /** After all rules were put: what is left belongs to none. */
  started(): void {
    for (const rule of this.#stored.keys()) if (!this.#rules.has(rule)) this.#gone.add(rule);
    this.#stored.clear();
  }

  /** The rule's state: the one that it has, where it means the same, or a new one that begins at `from`. */
  put(rule: string, plan: WindowPlan, from: number): RuleState {
    const present = this.#rules.get(rule);
    if (present !== undefined && this.#entered.delete(rule)) return present.state;
    const { state } = this.made(plan, (outcome, input) => {
      if (!this.#wasTold(outcome)) this.#o.tell(rule, outcome, input);
    });
    const kept = present === undefined ? this.#stored.get(rule) : present.state.snapshot("everything");
    const taken = kept !== undefined && this.#restored(rule, state, kept, plan);
    if (!taken) state.startAt(from);
    const savedPosition = taken ? (present?.savedPosition ?? state.position) : from;
    this.#rules.set(rule, { state, savedPosition, replaces: present !== undefined || !taken, parked: false });
    this.#gone.delete(rule);
    return state;
  }

  /** An empty state of no rule yet; see `enter`. */
  made(plan: WindowPlan, tell: MadeState["tell"]): MadeState {
    const state = new RuleState({
      plan,
      limits: this.#limits,
      parse: (payload) => {
        const result = parseJson(payload, this.#o.parsing);
        return result.ok ? result.value : undefined;
      },
      outcome: (outcome, input) => made.tell(outcome, input),
    });
    const made: MadeState = { state, tell };
    return made;
  }

  /** The state that the rule has when it is put next, instead of any other. Returns what undoes it. */
  enter(rule: string, made: MadeState): () => void {
    const before = this.#rules.get(rule);
    const { state } = made;
    made.tell = (outcome, input) => this.#o.tell(rule, outcome, input);
    this.#rules.set(rule, { state, savedPosition: state.position, replaces: true, parked: false });
    this.#entered.add(rule);
    this.#gone.delete(rule);
    return () => {
      this.#entered.delete(rule);
      if (before === undefined) this.delete(rule);
      else this.#rules.set(rule, { ...before, replaces: true });
    };
  }

  /** The rule's state stands still from now on, and is kept; null where it has none. */
  park(rule: string): RuleState | null {
    const windowed = this.#rules.get(rule);
    if (windowed === undefined) return null;
    windowed.parked = true;
    return windowed.state;
  }

  unpark(rule: string): void {
    const windowed = this.#rules.get(rule);
    if (windowed !== undefined) windowed.parked = false;
  }

  parked(rule: string): RuleState | null {
    const windowed = this.#rules.get(rule);
    return windowed?.parked === true ? windowed.state : null;
  }

  /** A rule that has no state any more, or does not run. */
  delete(rule: string): void {
    this.#entered.delete(rule);
    if (this.#rules.delete(rule)) this.#gone.add(rule);
  }

  /** Nothing that was accepted before is still to come: what is due is told. */
  tick(now: EpochMs): void {
    for (const { state, parked } of this.#rules.values()) if (!parked && state.nextDue <= now) state.tick(now);
  }

  /** All rules have seen the log up to `next`, as far as they want it. */
  caughtUp(next: number): void {
    for (const { state, parked } of this.#rules.values()) if (!parked) state.caughtUp(next);
  }

  /** Messages from here on are needed to make again what is not saved; null where nothing needs any. */
  oldest(): number | null {
    let oldest: number | null = null;
    for (const { savedPosition } of this.#rules.values()) oldest = Math.min(oldest ?? Infinity, savedPosition);
    return oldest;
  }

  /** Nothing is kept of a thing any more. */
  forget(thing: string): void {
    for (const { state } of this.#rules.values()) state.forget(thing);
    this.#nextSave = 0;
  }

  /** What is to be saved now; nothing where it is too early. Call `saved` or `unsaved` with it. */
  changes(how: "in turn" | "all"): SavedWindows[] {
    this.#saveBegan = this.#o.clock.monotonic();
    const inTurn = this.#saveBegan >= this.#nextSave;
    const changes = [...this.#gone].map((rule): SavedWindows => ({ rule, snapshot: null, replaces: true }));
    for (const [rule, windowed] of this.#rules) {
      if (how === "in turn" && !inTurn && !windowed.replaces && !windowed.parked) continue;
      const { state, savedPosition, replaces, parked } = windowed;
      const lags = state.position - savedPosition >= (how === "all" || parked ? 1 : LAG_MAX);
      if (!replaces && !lags && !state.changed) continue;
      changes.push({ rule, snapshot: state.snapshot(replaces ? "everything" : "changes"), replaces });
    }
    return changes;
  }

  saved(changes: readonly SavedWindows[]): void {
    if (changes.length === 0) return;
    for (const { rule, snapshot } of changes) {
      const windowed = this.#rules.get(rule);
      if (snapshot === null) this.#gone.delete(rule);
      if (windowed === undefined || snapshot === null) continue;
      windowed.savedPosition = readHeader(snapshot.header).position;
      windowed.replaces = false;
    }
    const now = this.#o.clock.monotonic();
    const { stateSavePeriod, stateSavePeriodMax } = this.#limits;
    this.#nextSave =
      now + Math.min(stateSavePeriodMax, Math.max(stateSavePeriod, (now - this.#saveBegan) * SAVE_SHARE));
  }

  unsaved(changes: readonly SavedWindows[]): void {
    for (const { rule, snapshot } of changes) if (snapshot !== null) this.#rules.get(rule)?.state.unsaved(snapshot);
  }

  #wasTold({ due, offset }: Outcome): boolean {
    return offset < this.#toldBelow || (due !== null && due <= this.#toldUntil);
  }

  #restored(rule: string, state: RuleState, kept: StateSnapshot, plan: WindowPlan): boolean {
    try {
      if (readHeader(kept.header).definition !== plan.definition) return false;
      state.restore(kept);
      return true;
    } catch (error) {
      this.#o.logger.error("A rule's saved windows cannot be read; it begins with none", {
        rule,
        reason: reasonOf(error),
      });
      return false;
    }
  }
}
