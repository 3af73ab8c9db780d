/** What renewals promise over any store; every adapter of `SuccessionStore` runs it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Succession, SuccessionStore } from "./succession.ts";

export interface SuccessionStoreUnderTest {
  readonly store: SuccessionStore;
  /** Closes and opens the same data again, as a restart does. */
  reopen(): SuccessionStore | Promise<SuccessionStore>;
  close(): void | Promise<void>;
}

/** Of a tenant that nobody else has; with a name, of that one in the same database. */
export type OpenSuccessionStore = (tenant?: string) => SuccessionStoreUnderTest | Promise<SuccessionStoreUnderTest>;

const NOW = 1_900_000_000_000;

export function successionStoreContract(adapter: string, open: OpenSuccessionStore): void {
  describe(`renewals over ${adapter}`, () => {
    test("what follows what comes back as it was saved, in the order in which it was issued", async () => {
      const under = await open();
      const first: Succession = { predecessor: "a", successor: "z", issuedAt: NOW, confirmedAt: null };
      const second: Succession = { predecessor: "a", successor: "b", issuedAt: NOW + 1, confirmedAt: null };
      under.store.save(second);
      under.store.save(first);
      under.store.save({ predecessor: "x", successor: "y", issuedAt: 1, confirmedAt: 2 });
      under.store.save({ ...second, confirmedAt: NOW + 2 });
      const store = await under.reopen();
      assert.deepEqual(store.ofPredecessor("a"), [first, { ...second, confirmedAt: NOW + 2 }]);
      assert.deepEqual(store.ofPredecessor("b"), []);
      store.remove("b");
      assert.deepEqual(
        store.load().map(({ successor }) => successor),
        ["y", "z"],
      );
      await under.close();
    });

    test("an allowance counts until its time; a later one takes the place of an earlier", async () => {
      const under = await open();
      under.store.allow("a", NOW);
      under.store.allow("a", NOW + 5);
      under.store.allow("b", NOW);
      const store = await under.reopen();
      assert.deepEqual([store.allowance("a"), store.allowance("b"), store.allowance("c")], [NOW + 5, NOW, null]);
      store.removeAllowances(NOW + 1);
      assert.deepEqual([store.allowance("a"), store.allowance("b")], [NOW + 5, null]);
      await under.close();
    });

    test("all or nothing, and nothing of another tenant", async () => {
      const mine = await open("mine");
      mine.store.save({ predecessor: "a", successor: "b", issuedAt: 1, confirmedAt: null });
      await mine.close();
      const theirs = await open("theirs");
      assert.throws(() =>
        theirs.store.atomically(() => {
          theirs.store.save({ predecessor: "a", successor: "b", issuedAt: 9, confirmedAt: 9 });
          theirs.store.allow("a", 9);
          throw new Error("changed my mind");
        }),
      );
      assert.deepEqual([theirs.store.load(), theirs.store.allowance("a")], [[], null]);
      theirs.store.remove("b");
      await theirs.close();
      const again = await open("mine");
      assert.equal(again.store.load().length, 1);
      await again.close();
    });
  });
}
