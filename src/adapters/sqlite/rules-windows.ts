/**
 * State of rules with windows in `rules.db`. A page has two places: one counts, and a save that is written in slices stages the
 * page in the other. Which one counts is a byte per page beside the header: one small row makes a whole save count, or none of it.
 */
import type { DatabaseSync } from "node:sqlite";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { reasonOf } from "../../base/mod.ts";
import type { RefusedState, SavedWindows, StateSnapshot } from "../../rules/mod.ts";
import { transaction } from "./open.ts";
import type { Row, Statements } from "./rules-rows.ts";

const NO_SLOTS = new Uint8Array(0);
/** Keys of a rule are much alike: a sixth or less is left, which costs less to pack than it costs to write. */
const PACKING = { level: 1 };

export class WindowRows {
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  /** By rule: which place of each page counts. Bounded by the rules and their keys. */
  readonly #slots = new Map<string, Uint8Array>();

  constructor(database: DatabaseSync, statements: Statements) {
    this.#database = database;
    this.#statements = statements;
  }

  /** All that counts; what does not is removed. */
  load(): SavedWindows[] {
    const saved = new Map<string, { header: Uint8Array; pages: [number, Uint8Array][] }>();
    for (const row of this.#all("SELECT rule, header, slots FROM window_heads ORDER BY rule")) {
      const rule = row["rule"] as string;
      saved.set(rule, { header: row["header"] as Uint8Array, pages: [] });
      this.#slots.set(rule, row["slots"] as Uint8Array);
    }
    transaction(this.#database, () => this.dropIdle());
    const rows = this.#database.prepare("SELECT rule, page, packed, body FROM window_pages ORDER BY rule, page");
    for (const row of rows.iterate() as Iterable<Row>) {
      const body = row["body"] as Uint8Array;
      const unpacked = row["packed"] === 1 ? unpackedOf(body) : body;
      saved.get(row["rule"] as string)?.pages.push([row["page"] as number, unpacked]);
    }
    return [...saved].map(([rule, snapshot]) => ({ rule, snapshot, replaces: false, staged: [] }));
  }

  /** In a transaction of its own. */
  stage(rule: string, pages: StateSnapshot["pages"]): void {
    transaction(this.#database, () => {
      for (const [page, body] of pages)
        this.#statements.putPage.run(rule, page, 1 - this.#slotOf(rule, page), packedOf(body));
    });
  }

  /** Within a transaction. Returns what the store does not take; call `saved` once it is committed. */
  save(windows: readonly SavedWindows[]): RefusedState[] {
    const refused: RefusedState[] = [];
    for (const one of windows) {
      this.#database.exec("SAVEPOINT of_one_rule");
      try {
        this.#saveOne(one);
      } catch (error) {
        if (!this.#database.isTransaction) throw error; // a full disk undoes all of it
        this.#database.exec("ROLLBACK TO of_one_rule");
        refused.push({ rule: one.rule, reason: reasonOf(error) });
      }
      this.#database.exec("RELEASE of_one_rule");
    }
    return refused;
  }

  saved(windows: readonly SavedWindows[]): void {
    for (const { rule, snapshot, replaces, staged } of windows) {
      if (replaces) this.forgetRule(rule);
      if (snapshot !== null && staged.length > 0) this.#slots.set(rule, this.#flipped(rule, staged));
    }
  }

  /** Within a transaction: removes what does not count. Not while something staged is to count. */
  dropIdle(): void {
    const rows = this.#all("SELECT rule, page, slot FROM window_pages");
    for (const row of rows) {
      const [rule, page, slot] = [row["rule"] as string, row["page"] as number, row["slot"] as number];
      if (slot !== this.#slotOf(rule, page)) this.#statements.dropPage.run(rule, page, slot);
    }
  }

  /** Within a transaction; call `forgetRule` once it is committed. */
  dropRule(rule: string): void {
    this.#statements.dropHead.run(rule);
    this.#statements.dropPages.run(rule);
  }

  forgetRule(rule: string): void {
    this.#slots.delete(rule);
  }

  #saveOne({ rule, snapshot, replaces, staged }: SavedWindows): void {
    if (replaces) this.dropRule(rule);
    if (snapshot === null) return;
    const slots = replaces ? NO_SLOTS : this.#flipped(rule, staged);
    for (const [page, body] of snapshot.pages)
      this.#statements.putPage.run(rule, page, slots[page] ?? 0, packedOf(body));
    this.#statements.putHead.run(rule, snapshot.header, slots);
  }

  #slotOf(rule: string, page: number): number {
    return this.#slots.get(rule)?.[page] ?? 0;
  }

  #flipped(rule: string, staged: readonly number[]): Uint8Array {
    const before = this.#slots.get(rule) ?? NO_SLOTS;
    const slots = new Uint8Array(staged.reduce((length, page) => Math.max(length, page + 1), before.length));
    slots.set(before);
    for (const page of staged) slots[page] = 1 - slots[page]!;
    return slots;
  }

  #all(sql: string): Row[] {
    return this.#database.prepare(sql).all();
  }
}

function packedOf(body: Uint8Array): Uint8Array {
  return deflateRawSync(body, PACKING);
}

/** What cannot be unpacked cannot be read: as for any other damage, its rule says so. */
function unpackedOf(body: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(body);
  } catch {
    return new Uint8Array(0);
  }
}
