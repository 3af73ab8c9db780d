/** What of the alerts is kept on disk, in one transaction with the rules' checkpoint. */
import type { EpochMs } from "../../base/mod.ts";
import type { Life } from "./life-cycle.ts";
import type { Alert, Transition } from "./model.ts";

export interface StoredAlert {
  readonly alert: Alert;
  /** Last reading that this state reflects; a replayed one is recognised by it. */
  readonly lastOffset: number;
  /** Since when it has been well; null while it is not. Stands in `life` too, where there is one. */
  readonly clearSince: EpochMs | null;
  /** What is not there was saved by a version that knew less. */
  readonly more: AlertMore | null;
}

export interface AlertMore {
  readonly history: readonly Transition[];
  /** Groups that have not yet told that it is over; a row with one is not trimmed. */
  readonly told: readonly string[];
  readonly life: Life;
}

/**
 * Everything but the alerts themselves; `alert`: one that is to go, and so never has a document. `life`: a key that is pending, or remembers something; `watch`: a thing whose
 * silence would be noticed; `group`, `contact`: what was told; `address`: where; `message`: by which name it can be edited; `silence`.
 */
export type AlertRowKind = "alert" | "life" | "watch" | "group" | "contact" | "address" | "message" | "silence";

export interface AlertRow {
  readonly kind: AlertRowKind;
  readonly id: string;
  /** Whom it speaks of, so that it can be forgotten. */
  readonly thing: string | null;
  /** JSON; null: the row is to go. */
  readonly document: string | null;
}

/** Rows that have changed and are not yet on disk; at most one per row of its kind. */
export class DirtyRows {
  readonly #rows = new Map<string, AlertRow>();

  put(row: AlertRow): void {
    this.#rows.set(`${row.kind} ${row.id}`, row);
  }

  /** It stays as it is on disk. */
  drop(kind: AlertRowKind, id: string): void {
    this.#rows.delete(`${kind} ${id}`);
  }

  get size(): number {
    return this.#rows.size;
  }

  all(): readonly AlertRow[] {
    return [...this.#rows.values()];
  }

  /** What changed again meanwhile stays. */
  saved(rows: readonly AlertRow[]): void {
    for (const row of rows) {
      const key = `${row.kind} ${row.id}`;
      if (this.#rows.get(key) === row) this.#rows.delete(key);
    }
  }

  forgetThing(thing: string): void {
    for (const [key, row] of this.#rows) if (row.thing === thing) this.#rows.delete(key);
  }
}
