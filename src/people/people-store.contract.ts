/** What people promise over any store; every adapter of `PeopleStore` runs it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PeopleStore } from "./ports.ts";
import type { Key, SavedSession, User } from "./records.ts";

export interface PeopleStoreUnderTest {
  readonly store: PeopleStore;
  /** Closes and opens the same data again, as a restart does. */
  reopen(): PeopleStore | Promise<PeopleStore>;
  close(): void | Promise<void>;
}

/** Of a tenant that nobody else has; with a name, of that one in the same database. */
export type OpenPeopleStore = (tenant?: string) => PeopleStoreUnderTest | Promise<PeopleStoreUnderTest>;

export const storedUser = (name: string): User => ({
  name,
  role: "operator",
  disabled: false,
  password: "$argon2id$x",
  passwordChangedAt: 5,
  invitation: { hash: "ab", expiresAt: 1_900_000_000_000 },
  createdAt: 1,
  lastLoginAt: null,
});

export const storedKey = (id: string, owner: string | null): Key => ({
  id,
  kind: "api",
  name: "Müllers Schlüssel",
  owner,
  permissions: ["fleet:read", "metrics:read"],
  things: ["line-*"],
  policies: ["p"],
  secret: "s",
  createdAt: 1,
  expiresAt: null,
  lastUsedAt: 7,
  lastUsedFrom: "::1",
});

export const storedSession = (id: string, user: string | null): SavedSession => ({
  id,
  hash: `h${id}`,
  user,
  createdAt: 1,
  lastSeenAt: 20,
  endsAt: 1_000,
  address: "::1",
  agent: "b",
});

export function peopleStoreContract(adapter: string, open: OpenPeopleStore): void {
  describe(`people over ${adapter}`, () => {
    test("everything comes back as it was put, a later one in the place of an earlier; a user takes along what is his", async () => {
      const under = await open();
      const { store } = under;
      const bert: User = { ...storedUser("bert"), invitation: null, password: null, disabled: true };
      store.putUser(storedUser("anna"));
      store.putUser(bert);
      store.putUser({ ...storedUser("anna"), role: "viewer" });
      store.putKey(storedKey("k1", "anna"));
      store.putKey({ ...storedKey("k2", null), things: null, lastUsedAt: null, lastUsedFrom: null });
      for (const session of [storedSession("s1", "anna"), storedSession("s2", null), storedSession("s3", "bert")])
        store.putSession(session);
      store.deleteSessions(["s3", "nobody's"]);
      store.deleteSessions([]);
      const again = await under.reopen();
      assert.deepEqual(again.load(), {
        users: [{ ...storedUser("anna"), role: "viewer" }, bert],
        keys: [
          storedKey("k1", "anna"),
          { ...storedKey("k2", null), things: null, lastUsedAt: null, lastUsedFrom: null },
        ],
        sessions: [storedSession("s1", "anna"), storedSession("s2", null)],
      });
      again.deleteUser("anna");
      again.deleteKey("k2");
      assert.deepEqual(again.load(), { users: [bert], keys: [], sessions: [storedSession("s2", null)] });
      await under.close();
    });

    test("what was used last is noted, never backwards, and brings nothing back that is gone", async () => {
      const under = await open();
      const { store } = under;
      for (const id of ["k1", "k2"]) store.putKey(storedKey(id, null));
      const seenAt = (lastSeenAt: number): SavedSession[] =>
        Array.from({ length: 45 }, (_, n) =>
          Object.assign({}, storedSession(`s${String(n).padStart(2, "0")}`, null), { lastSeenAt }),
        );
      const sessions = seenAt(20);
      for (const session of sessions) store.putSession(session);
      store.deleteKey("k2");
      store.deleteSessions(["s01"]);
      const used = { lastUsedAt: 90, lastUsedFrom: "a" };
      store.touchKeys([
        { ...storedKey("k1", null), ...used },
        { ...storedKey("k2", null), ...used },
      ]);
      store.touchKeys([{ ...storedKey("k1", null), name: "renamed", secret: "other", lastUsedAt: 80 }]);
      store.touchSessions(seenAt(900));
      store.touchSessions([{ ...sessions[2]!, lastSeenAt: 30, user: "mallory" }]);
      const found = store.load();
      assert.deepEqual(found.keys, [{ ...storedKey("k1", null), lastUsedAt: 90, lastUsedFrom: "a" }]);
      assert.deepEqual(
        found.sessions,
        seenAt(900).filter(({ id }) => id !== "s01"),
      );
      await under.close();
    });

    test("sessions that are over go by what is kept of them", async () => {
      const under = await open();
      const { store } = under;
      store.putSession({ ...storedSession("ended", null), endsAt: 100, lastSeenAt: 99 });
      store.putSession({ ...storedSession("idle", null), lastSeenAt: 20 });
      store.putSession({ ...storedSession("seen", null), lastSeenAt: 50 });
      assert.deepEqual([...store.deleteSessionsOver(100, 50)].sort(), ["ended", "idle"]);
      assert.deepEqual(store.deleteSessionsOver(100, 50), []);
      assert.deepEqual(
        store.load().sessions.map(({ id }) => id),
        ["seen"],
      );
      await under.close();
    });

    test("all or nothing: what fails on the way leaves no trace", async () => {
      const under = await open();
      const { store } = under;
      store.putUser(storedUser("anna"));
      assert.throws(() =>
        store.atomically(() => {
          store.putUser({ ...storedUser("anna"), role: "administrator" });
          store.putUser(storedUser("bert"));
          throw new Error("changed my mind");
        }),
      );
      assert.deepEqual(store.load().users, [storedUser("anna")]);
      const told = store.atomically((now) => {
        store.putUser(storedUser("bert"));
        return now;
      });
      assert.equal(told, null, "nobody else has changed anything");
      assert.equal((await under.reopen()).load().users.length, 2);
      await under.close();
    });

    test("another tenant's users of the same names stay", async () => {
      for (const tenant of ["mine", "theirs"]) {
        const under = await open(tenant);
        const { store } = under;
        store.putUser(storedUser("bert"));
        store.putKey(storedKey("k1", "bert"));
        if (tenant === "theirs") {
          store.deleteUser("bert");
          assert.deepEqual(store.load(), { users: [], keys: [], sessions: [] });
        }
        await under.close();
      }
      const mine = await open("mine");
      assert.deepEqual([mine.store.load().users.length, mine.store.load().keys.length], [1, 1]);
      await mine.close();
    });
  });
}
