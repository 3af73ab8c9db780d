/**
 * Publishers that outrun a subscriber are held back for a moment, so that one who can keep up is not sent more than its
 * output takes. A moment only, and only while the subscriber takes something: who is really slow loses messages, and
 * slows nobody down. Who sends less than others is not held: it is not what the subscriber has to catch up with.
 *
 * A subscriber that catches up within the moment is waited for to the message. For one that does not, what publishers have
 * sent already goes on: it would make them as slow as itself.
 */
import type { Cancel, Millis, Scheduler } from "../base/mod.ts";
import type { Connection } from "./connection.ts";

/** Longest time that a publisher is held back at once. */
const HOLD_MS: Millis = 50;

export class Pacing {
  readonly #scheduler: Scheduler;
  #held: Connection[] = [];
  #cancel: Cancel | null = null;
  #caughtUp = true;
  /** Set during a delivery by a subscriber that has much to take; the publisher is then held. */
  wanted = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  hold(connection: Connection): void {
    this.wanted = false;
    if (connection.isHeld("pace") || !connection.core.fairness.isHeavy(connection)) return;
    this.#held.push(connection);
    connection.intake.pace(this.#caughtUp);
    this.#cancel ??= this.#scheduler.after(HOLD_MS, () => {
      this.#cancel = null;
      this.#release();
      this.#caughtUp = false;
    });
  }

  /** The subscriber has caught up. */
  release(): void {
    this.#caughtUp = true;
    this.#release();
  }

  #release(): void {
    if (this.#held.length === 0) return;
    this.#cancel?.();
    this.#cancel = null;
    const held = this.#held;
    this.#held = [];
    for (const connection of held) connection.intake.paceEnds();
  }
}
