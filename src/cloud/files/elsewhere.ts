/**
 * Kinds whose documents are kept elsewhere, not beside the rules. What a change is to do there is written down in the transaction
 * that makes the rest of it, and done then; after a crash, or where it could not be done, once more before anything else.
 */
import type { JsonObject, Logger } from "../../base/mod.ts";
import type { StoredDocument } from "../../rules/mod.ts";
import type { ConfigurationDocument } from "../api/contract-files.ts";

export interface ChangeElsewhere {
  readonly name: string;
  /** Null: it is to go. */
  readonly after: JsonObject | null;
}

export interface KindElsewhere {
  readonly kind: string;
  /** Those that a person would keep in files, by name. */
  list(): readonly { readonly name: string; readonly document: JsonObject }[];
  /** Null where there is none. */
  find(name: string): JsonObject | null;
  /** As it would be kept. Throws DOCUMENT_INVALID. */
  check(name: string, input: unknown): JsonObject;
  /** It is in use: `prune` leaves it where it is. */
  isNeeded(name: string): boolean;
  /** Durably, all of it or nothing. What was done before is no fault, nor is what cannot be done any more; only a store that is away is. */
  make(changes: readonly ChangeElsewhere[]): void;
}

/** As it is kept beside the rules until it is done; the name is the kind's. */
const OWED = "elsewhere";

export class Elsewhere {
  readonly #kinds: ReadonlyMap<string, KindElsewhere>;
  /** Bounded by the kinds. */
  readonly #owed = new Map<string, readonly ChangeElsewhere[]>();
  readonly #keep: (documents: readonly StoredDocument[]) => void;

  constructor(options: {
    readonly kinds: readonly KindElsewhere[];
    readonly stored: readonly StoredDocument[];
    readonly keep: (documents: readonly StoredDocument[]) => void;
    readonly logger: Logger;
  }) {
    this.#kinds = new Map(options.kinds.map((kind) => [kind.kind, kind]));
    this.#keep = options.keep;
    for (const { kind, name, document } of options.stored) {
      if (kind !== OWED || document === null) continue;
      this.#owed.set(name, (document as unknown as { readonly changes: readonly ChangeElsewhere[] }).changes);
    }
    try {
      this.settle();
    } catch (error) {
      options.logger.error("What was applied is not done in full; it is tried again before the next look", { error });
    }
  }

  get(kind: string): KindElsewhere | undefined {
    return this.#kinds.get(kind);
  }

  get kinds(): readonly string[] {
    return [...this.#kinds.keys()];
  }

  all(): ConfigurationDocument[] {
    return [...this.#kinds.values()].flatMap((one) =>
      one.list().map(({ name, document }) => ({ kind: one.kind, name, document })),
    );
  }

  /** What is to be kept with the rest of a change; `settle` does it then. */
  owe(changes: readonly (ChangeElsewhere & { readonly kind: string })[]): StoredDocument[] {
    return this.kinds.flatMap((kind) => {
      const own = changes.flatMap((one) => (one.kind === kind ? [{ name: one.name, after: one.after }] : []));
      if (own.length === 0) return [];
      this.#owed.set(kind, own);
      return [{ kind: OWED, name: kind, document: { changes: own } }];
    });
  }

  /** Throws what `make` throws; then it is still owed. */
  settle(): void {
    for (const [kind, changes] of this.#owed) {
      this.#kinds.get(kind)?.make(changes);
      this.#keep([{ kind: OWED, name: kind, document: null }]);
      this.#owed.delete(kind);
    }
  }

  /** The change that they belong to was not made. */
  disown(): void {
    this.#owed.clear();
  }
}
