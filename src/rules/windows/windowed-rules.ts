/**
 * The rules that keep state: what each has, when it is saved, and from where it goes on. After a crash a rule's state is
 * older than the checkpoint: the messages between are read again, and what they lead to was told before and is not told again.
 */
import { LIMITS, parseJson, reasonOf } from "../../base/mod.ts";
import type { Clock, Counter, EpochMs, JsonLimits, Logger, Metrics, Millis, Random } from "../../base/mod.ts";
import type { WindowPlan } from "../../sql/mod.ts";
import { backoff } from "../delivery/backoff.ts";
import { RuleState } from "./rule-state.ts";
import type { Outcome, StateLimits } from "./rule-state.ts";
import { PAGE_KEYS } from "./key-table.ts";
import { readHeader } from "./snapshot.ts";
import type { StateSnapshot } from "./snapshot.ts";
import type { StateSave } from "./state-save.ts";
import type { StateInput } from "./state-input.ts";

/** A rule's state as it is saved. */
export interface SavedWindows {
  readonly rule: string;
  /** Null: the rule has no state any more. */
  readonly snapshot: StateSnapshot | null;
  /** What was saved of the rule before is gone. */
  readonly replaces: boolean;
  /** Pages that the store has beside those that count, and that count from now on; see `RulesStore.stage`. */
  readonly staged: readonly number[];
}

/** What the store does not take of one rule, whatever is tried. */
export interface RefusedState {
  readonly rule: string;
  readonly reason: string;
}

export interface WindowedRulesOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly random: Pick<Random, "next">;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly parsing: JsonLimits;
  readonly limits?: StateLimits;
  /** Must not throw. */
  readonly tell: (rule: string, outcome: Outcome, input: StateInput) => void;
  /** Why the store does not take a rule's state; null once it does. */
  readonly onSaveRefused?: (rule: string, reason: string | null) => void;
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
  /** A thing was forgotten: what is on disk of it must go now. */
  urgent: boolean;
  /** How often the store has not taken it in a row, and until when it is not asked to. */
  refusals: number;
  retryAt: Millis;
}

const RETRY_LIMITS = { retryDelayMin: LIMITS.windows.stateRetryMin, retryDelayMax: LIMITS.windows.stateRetryMax };

/** State whose position lags that far behind is saved, or the log could not be cleaned up. */
const LAG_MAX = 100_000;

export class WindowedRules {
  readonly #o: WindowedRulesOptions;
  readonly #limits: StateLimits;
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
  /** Rules whose state the store does not take, and why; bounded by the rules. */
  readonly #refused = new Map<string, string>();
  readonly #refusals: Counter;

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
    this.#refusals = metrics.counter({
      name: "tidewire_window_state_refusals_total",
      help: "Times that the store did not take the state of a rule",
    });
    metrics.observe(
      { name: "tidewire_window_state_unsaved", help: "Rules whose state the store does not take" },
      () => this.#refused.size,
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
    present?.state.endSave(false);
    const taken = kept !== undefined && this.#restored(rule, state, kept, plan);
    if (!taken) state.startAt(from);
    const savedPosition = taken ? (present?.savedPosition ?? state.position) : from;
    const otherwise = present !== undefined || !taken || readHeader(kept.header).pageKeys !== PAGE_KEYS;
    this.#rules.set(rule, { state, savedPosition, replaces: otherwise, ...UNDISTURBED });
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
    before?.state.endSave(false);
    this.#rules.set(rule, { state, savedPosition: state.position, replaces: true, ...UNDISTURBED });
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
    windowed.retryAt = -Infinity; // somebody waits for it
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
    this.#refused.delete(rule);
    this.#rules.get(rule)?.state.endSave(false);
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

  /** Nothing is kept of a thing any more: the next save has all that changed, for it may have been the thing's. */
  forget(thing: string): void {
    for (const windowed of this.#rules.values()) {
      windowed.state.endSave(false);
      windowed.state.forget(thing);
      windowed.urgent = true;
      windowed.retryAt = -Infinity;
    }
  }

  // ── saving ───────────────────────────────────────────────────────────────────────────────────

  /** Rules whose state is not as it was saved, for whom a save may begin. */
  waiting(): string[] {
    const waiting: string[] = [];
    const now = this.#o.clock.monotonic();
    for (const [rule, windowed] of this.#rules) {
      const { state, savedPosition, retryAt } = windowed;
      if (isWhole(windowed) || state.save !== null || retryAt > now) continue;
      if (state.changed || state.position - savedPosition >= LAG_MAX) waiting.push(rule);
    }
    return waiting;
  }

  /** The state as it is now, to be staged page by page; null where the rule is not there any more, or is saved otherwise. */
  beginSave(rule: string): StateSave | null {
    const windowed = this.#rules.get(rule);
    if (windowed === undefined || isWhole(windowed)) return null;
    return windowed.state.beginSave();
  }

  /** Whether a save was begun whose end is still to come. */
  get saving(): boolean {
    for (const { state } of this.#rules.values()) if (state.save !== null) return true;
    return false;
  }

  /**
   * What is to be saved with the checkpoint: what was staged, and as a whole what cannot wait for a turn. Call `saved` or
   * `unsaved` with it.
   */
  changes(how: "in turn" | "all"): SavedWindows[] {
    const changes = [...this.#gone].map((rule): SavedWindows => {
      return { rule, snapshot: null, replaces: true, staged: [] };
    });
    const now = this.#o.clock.monotonic();
    for (const [rule, windowed] of this.#rules) {
      const { state, savedPosition, replaces, parked } = windowed;
      const { save } = state;
      if (how === "in turn" && windowed.retryAt > now) continue;
      if (how === "in turn" && !isWhole(windowed)) {
        if (save?.isWritten !== true) continue;
        changes.push({ rule, snapshot: { header: save.header, pages: [] }, replaces: false, staged: save.pages });
        continue;
      }
      state.endSave(false);
      const lags = state.position - savedPosition >= (how === "all" || parked ? 1 : LAG_MAX);
      if (!replaces && !lags && !state.changed) {
        windowed.urgent = false;
        continue;
      }
      const snapshot = state.snapshot(replaces ? "everything" : "changes");
      changes.push({ rule, snapshot, replaces, staged: [] });
    }
    return changes;
  }

  /** `refused`: those whose state the store did not take; the others are on disk. */
  saved(changes: readonly SavedWindows[], refused: readonly RefusedState[]): void {
    for (const one of changes) {
      const { rule, snapshot } = one;
      const because = refused.find((other) => other.rule === rule);
      if (because !== undefined) {
        this.unsaved([one]);
        this.refuse(because);
        continue;
      }
      const windowed = this.#rules.get(rule);
      if (snapshot === null) this.#gone.delete(rule);
      if (windowed === undefined || snapshot === null) continue;
      windowed.state.endSave(true);
      windowed.savedPosition = readHeader(snapshot.header).position;
      windowed.replaces = false;
      windowed.urgent = false;
      windowed.refusals = 0;
      if (!this.#refused.delete(rule)) continue;
      this.#o.onSaveRefused?.(rule, null);
      this.#o.logger.info("A rule's state is saved again", { rule });
    }
  }

  /** What was staged stays so, and goes with the next save. */
  unsaved(changes: readonly SavedWindows[]): void {
    for (const { rule, snapshot } of changes) if (snapshot !== null) this.#rules.get(rule)?.state.unsaved(snapshot);
  }

  /** The log is kept from where the state on disk is, and it is tried again, later each time. */
  refuse({ rule, reason }: RefusedState): void {
    const windowed = this.#rules.get(rule);
    if (windowed === undefined) return;
    windowed.state.endSave(false);
    windowed.retryAt = this.#o.clock.monotonic() + backoff(++windowed.refusals, this.#o.random, RETRY_LIMITS);
    this.#refusals.value++;
    if (this.#refused.get(rule) === reason) return;
    this.#refused.set(rule, reason);
    this.#o.onSaveRefused?.(rule, reason);
    this.#o.logger.error("The state of a rule cannot be saved; all others are", { rule, reason });
  }

  /** Rules whose state the store does not take, and why. */
  get refused(): ReadonlyMap<string, string> {
    return this.#refused;
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

const UNDISTURBED = { parked: false, urgent: false, refusals: 0, retryAt: -Infinity };

/** Saved at once, not in slices. */
function isWhole({ replaces, parked, urgent }: Windowed): boolean {
  return replaces || parked || urgent;
}
