/** Dead letters for people: look at them, correct them, send them again, drop them. */
import { TidewireError } from "../../base/mod.ts";
import type { Clock } from "../../base/mod.ts";
import type { LetterChange, Revived, RulesStore } from "../store.ts";
import type { DeadLetterQuery, DeadReceiver, KeptLetter } from "./delivery.ts";

export interface DeadLettersOptions {
  readonly store: RulesStore;
  readonly clock: Clock;
  readonly bodyBytesMax: number;
  /** Saves what is in memory, so that the newest are seen. */
  readonly save: () => void;
  /** They wait again. */
  readonly onRevived: (revived: Revived) => void;
}

/** Of one call, so that none holds up the broker; whoever wants more asks again. */
const ROWS_MAX = 500;

export class DeadLetters {
  readonly #o: DeadLettersOptions;

  constructor(options: DeadLettersOptions) {
    this.#o = options;
  }

  /** Newest first, at most 500. */
  list(query: DeadLetterQuery): KeptLetter[] {
    this.#o.save();
    return this.#o.store.deadLetters(bounded(query));
  }

  /** Whose letters there are; those with the newest first. */
  receivers(): DeadReceiver[] {
    this.#o.save();
    return this.#o.store.deadReceivers();
  }

  /** Throws NOT_FOUND. */
  get(number: number): KeptLetter {
    return this.list({ number, limit: 1 })[0] ?? missing(number);
  }

  /** Throws NOT_FOUND or RULE_INVALID. */
  edit(number: number, change: LetterChange): KeptLetter {
    const max = this.#o.bodyBytesMax;
    if (change.body !== undefined && change.body.length > max) {
      throw new TidewireError("RULE_INVALID", { at: "body", reason: `it is longer than ${max} bytes` });
    }
    this.#o.save();
    return this.#o.store.editDeadLetter(number, change) ?? missing(number);
  }

  /** Tries them again, at most 500 of them, with the ids that they had; returns how many. */
  replay(query: DeadLetterQuery): number {
    this.#o.save();
    const revived = this.#o.store.revive(bounded(query), this.#o.clock.now());
    for (const one of revived) this.#o.onRevived(one);
    return revived.reduce((sum, { count }) => sum + count, 0);
  }

  /** At most 500 of them; returns how many. */
  drop(query: DeadLetterQuery): number {
    this.#o.save();
    return this.#o.store.dropDeadLetters(bounded(query));
  }
}

function bounded(query: DeadLetterQuery): DeadLetterQuery {
  return { ...query, limit: Math.min(query.limit, ROWS_MAX) };
}

function missing(number: number): never {
  throw new TidewireError("NOT_FOUND", { kind: "dead letter", name: String(number) });
}
