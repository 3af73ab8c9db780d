/**
 * Looks again at connections that logged in without a certificate of ours, soon after something has changed that may be a part
 * of their rights: once, however many changes there were.
 */
import { LIMITS } from "../../base/mod.ts";
import type { Cancel, Logger, Scheduler } from "../../base/mod.ts";
import type { Broker } from "../../broker/mod.ts";

/** A way in, and whom of its connections the changes since the last look may concern. */
export interface Reviewed {
  concerns(principal: string): boolean;
  /** The look begins: what changes from now on is for the next. */
  reviewed(): void;
}

export interface ReviewOptions {
  readonly scheduler: Scheduler;
  readonly logger: Logger;
}

export class Review {
  readonly #o: ReviewOptions;
  readonly #due = new Set<Reviewed>();
  #cancel: Cancel | null = null;
  #broker: Pick<Broker, "endUnauthorized"> | null = null;

  constructor(options: ReviewOptions) {
    this.#o = options;
  }

  start(broker: Pick<Broker, "endUnauthorized">): void {
    this.#broker = broker;
  }

  close(): void {
    this.#cancel?.();
    this.#broker = null;
  }

  soon(reviewed: Reviewed): void {
    this.#due.add(reviewed);
    this.#cancel ??= this.#o.scheduler.after(LIMITS.logins.reviewDelay, () => this.#look());
  }

  #look(): void {
    this.#cancel = null;
    const due = [...this.#due];
    this.#due.clear();
    // Whom it concerns is asked at once; the broker takes its turns to look at them.
    const isChosen = (principal: string | null): boolean =>
      principal !== null && due.some((one) => one.concerns(principal));
    this.#broker?.endUnauthorized(isChosen, (connections) => {
      if (connections > 0) this.#o.logger.info("connections ended: they lost a right", { audit: true, connections });
    });
    for (const one of due) one.reviewed();
  }
}
