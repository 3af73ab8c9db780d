/** What must survive a crash goes to the disk together: alerts, deliveries, windows and the checkpoint, in one transaction. */
import type { Clock, Counter, EpochMs, Logger, Metrics, Random } from "../base/mod.ts";
import type { Alerting } from "./alerts/alerting.ts";
import type { AskingRules } from "./asking/asking.ts";
import type { Deliveries } from "./delivery/deliveries.ts";
import { StoreTrouble } from "./store-trouble.ts";
import type { StoreTroubleOptions } from "./store-trouble.ts";
import type { RefusedRow, RulesStore, Saved } from "./store.ts";
import type { WindowedRules } from "./windows/windowed-rules.ts";

export interface RuleSavesOptions {
  readonly store: Pick<RulesStore, "save">;
  readonly alerts: Alerting;
  readonly deliveries: Deliveries;
  readonly windows: WindowedRules;
  readonly asking: AskingRules;
  readonly failures: Counter;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Pick<Clock, "monotonic">;
  readonly random: Pick<Random, "next">;
  readonly limits: StoreTroubleOptions["limits"];
  /** Closes the windows that are being closed; `release` is called. */
  readonly finishClosing: () => void;
  /** Makes deliveries of what was given up since. */
  readonly tellFailures: () => void;
  /** Offset of the next message that rules without state see. */
  readonly next: () => number;
  /** Until when all that was due in windows was told. */
  readonly ticked: () => EpochMs | null;
  /** What the store will never take. */
  readonly lost: (rows: readonly RefusedRow[]) => void;
}

export class RuleSaves {
  readonly #o: RuleSavesOptions;
  readonly #trouble: StoreTrouble;
  /** Checkpoint of the newest save. */
  #checkpoint = -1;
  /** Steps that belong together are under way; a save now would tear them apart. */
  #together = false;
  /** Windows are being closed; see `Closings`. */
  #isHeld = false;
  #wanted = false;

  constructor(options: RuleSavesOptions) {
    this.#o = options;
    this.#trouble = new StoreTrouble({
      ...options,
      begins: "The rules' state cannot be saved; it is tried until it can, and the log keeps what is needed for it",
      ends: "The rules' state is saved again",
    });
    options.metrics.observe(
      { name: "tidewire_rules_unsaved", help: "1 while the rules' store takes nothing, else 0" },
      () => (this.problem === null ? 0 : 1),
    );
  }

  /** Why nothing can be saved now; null where it can. */
  get problem(): string | null {
    return this.#trouble.reason;
  }

  start(checkpoint: number | null): void {
    this.#checkpoint = checkpoint ?? -1;
  }

  /** All that one message causes, and an alert with all its notifications, goes into the same save or none of it does. */
  inOneSave(steps: () => void): void {
    const within = this.#together; // a listener for alerts may delete a rule
    this.#together = true;
    try {
      steps();
    } finally {
      this.#together = within;
    }
    if (within || !this.#wanted) return;
    this.#wanted = false;
    this.save("soon");
  }

  /** Nothing is saved until `release`; who cannot wait finishes it. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    if (!this.#wanted || this.#together) return;
    this.#wanted = false;
    this.save("soon");
  }

  /** False where nothing was saved. Of a rule whose state matters to the caller, `WindowedRules.refused` tells the rest. */
  save(how: "soon" | "durably" | "at the end"): boolean {
    if (this.#together || (this.#isHeld && how === "soon")) {
      this.#wanted = true;
      return true;
    }
    // Nothing is made ready either: a rule's whole state may be hundreds of megabytes.
    if (how === "soon" && this.#trouble.rests) return false;
    if (this.#isHeld) this.#o.finishClosing();
    const { store, windows, asking, deliveries, failures, ticked } = this.#o;
    this.#o.tellFailures();
    const { alerts, alertRows } = this.#o.alerts.changes(how === "at the end");
    const saved = windows.changes(how === "at the end" ? "all" : "in turn");
    // A window that is closed would not be closed again after a crash: its result must not be lost.
    if (saved.length > 0) deliveries.hold();
    const { checkpointMax, ...changes } = deliveries.changes();
    const next = this.#o.next();
    const checkpoint = Math.min(next, checkpointMax);
    const owed = asking.changes(next);
    const changed = alerts.length + alertRows.length + saved.length + owed.length > 0 || deliveries.changed;
    if (!changed && checkpoint === this.#checkpoint && how !== "at the end") return true;
    // What was due and is on its way may have to be told again.
    const toldUntil = checkpointMax > next ? ticked() : null;
    let result: Saved;
    try {
      result = store.save(
        { checkpoint, ...changes, alerts, alertRows, windows: saved, toldUntil, owed },
        how !== "soon",
      );
    } catch (error) {
      windows.unsaved(saved);
      failures.value++;
      this.#trouble.failed(error);
      return false;
    }
    this.#trouble.worked();
    this.#checkpoint = checkpoint;
    deliveries.setWaiting(result.waiting);
    deliveries.saved(changes);
    windows.saved(saved, result.refused);
    failures.value += result.refused.length;
    this.#o.lost(result.lost);
    asking.saved(owed);
    this.#o.alerts.saved(alerts, checkpoint);
    return true;
  }
}
