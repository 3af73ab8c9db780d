/**
 * Where each contact point was told last, as rows: one that is elsewhere is noticed, also where the platform was down while its
 * configuration changed.
 */
import { reasonOf } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import type { AlertRow, DirtyRows } from "./store.ts";

export interface Address {
  /** Key of the receiver. */
  readonly receiver: string;
  readonly carrier: string;
}

export class Addresses {
  readonly #all = new Map<string, Address>();
  readonly #rows: DirtyRows;
  readonly #logger: Logger;

  constructor(rows: DirtyRows, logger: Logger) {
    this.#rows = rows;
    this.#logger = logger;
  }

  /** Null: it is new. */
  of(contact: string): Address | null {
    return this.#all.get(contact) ?? null;
  }

  /** Whether some contact point was told there. */
  has(receiver: string): boolean {
    return [...this.#all.values()].some((address) => address.receiver === receiver);
  }

  /** All that there are now; to be called when what waited for those before has been taken along. */
  put(now: ReadonlyMap<string, Address>): void {
    for (const contact of this.#all.keys()) {
      if (now.has(contact)) continue;
      this.#all.delete(contact);
      this.#rows.put({ kind: "address", id: contact, thing: null, document: null });
    }
    for (const [contact, address] of now) {
      if (this.#all.get(contact)?.receiver === address.receiver) continue;
      this.#all.set(contact, address);
      this.#rows.put({ kind: "address", id: contact, thing: null, document: JSON.stringify(address) });
    }
  }

  restore(rows: readonly AlertRow[]): void {
    for (const { kind, id, document } of rows) {
      if (kind !== "address" || document === null) continue;
      try {
        this.#all.set(id, JSON.parse(document) as Address);
      } catch (error) {
        const reason = reasonOf(error);
        this.#logger.error("A contact point's saved address cannot be read; what waits for it stays there", { reason });
      }
    }
  }
}
