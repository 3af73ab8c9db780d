import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Key, SavedSession, User } from "../../people/mod.ts";
import { SqlitePeopleStore } from "./people-store.ts";

const user = (name: string): User => ({
  name,
  role: "operator",
  disabled: false,
  password: "$argon2id$x",
  passwordChangedAt: 5,
  invitation: { hash: "ab", expiresAt: 9 },
  createdAt: 1,
  lastLoginAt: null,
});
const key = (id: string, owner: string | null): Key => ({
  id,
  kind: "api",
  name: "n",
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
const session = (id: string, owner: string | null): SavedSession => ({
  id,
  hash: `h${id}`,
  user: owner,
  createdAt: 1,
  lastSeenAt: 2,
  endsAt: 3,
  address: "::1",
  agent: "b",
});

test("everything comes back as it was put, a later one in the place of an earlier; a user takes along what is his", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-people-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "people.db");
  const store = new SqlitePeopleStore({ path });
  store.putUser(user("anna"));
  store.putUser({ ...user("bert"), invitation: null, password: null, disabled: true });
  store.putUser({ ...user("anna"), role: "viewer" });
  store.putKey(key("k1", "anna"));
  store.putKey({ ...key("k2", null), things: null });
  store.putSessions([session("s1", "anna"), session("s2", null), session("s3", "bert")]);
  store.deleteSessions(["s3"]);
  store.revokeToken("feed");
  store.auditAnchor.write("5 abc");
  store.close();

  const again = new SqlitePeopleStore({ path });
  assert.deepEqual(again.load(), {
    users: [
      { ...user("anna"), role: "viewer" },
      { ...user("bert"), invitation: null, password: null, disabled: true },
    ],
    keys: [key("k1", "anna"), { ...key("k2", null), things: null }],
    sessions: [session("s1", "anna"), session("s2", null)],
    revokedToken: "feed",
  });
  assert.equal(again.auditAnchor.read(), "5 abc");
  again.deleteUser("anna");
  const left = again.load();
  assert.deepEqual(
    [left.users.length, left.keys.map(({ id }) => id), left.sessions.map(({ id }) => id)],
    [1, ["k2"], ["s2"]],
  );
  again.close();

  const neighbour = new SqlitePeopleStore({ path, tenant: "other" });
  assert.deepEqual(neighbour.load(), { users: [], keys: [], sessions: [], revokedToken: null });
  neighbour.putUser(user("bert"));
  neighbour.deleteUser("bert");
  neighbour.close();
  const mine = new SqlitePeopleStore({ path });
  assert.deepEqual(
    mine.load().users.map(({ name }) => name),
    ["bert"],
    "another tenant's user of the same name stays",
  );
  mine.close();
});
