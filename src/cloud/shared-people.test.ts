/** Two platforms with the same people on one database: users, sessions, keys, guesses. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SimClock } from "../../sim/world.ts";
import type { PostgresRegistryStore } from "../adapters/postgres/mod.ts";
import { sealingWith } from "../adapters/sealing.ts";
import { LIMITS, hours, minutes } from "../base/mod.ts";
import { People } from "../people/mod.ts";
import { QuickHasher, passwordOf } from "../people/people.fixture.ts";
import { SharedServer, is, portsAt, until } from "./shared-identity.fixture.ts";

const server = new SharedServer();
const clock = new SimClock();

before(() => server.start());
after(() => server.close());

describe("two platforms with the same people", { skip: server.skip }, () => {
  const token = { read: () => "tw_x", write: () => {}, revoked: () => null, revoke: () => {} };
  const sealing = sealingWith(new Uint8Array(32).fill(5));
  const peopleOver = (store: PostgresRegistryStore, n: number) => ({
    sql: store.sql,
    store: store.people,
    people: new People({
      ...portsAt(clock, n),
      store: store.people,
      attempts: store.attempts,
      passwords: new QuickHasher(),
      sealing,
      scheduler: new SimClock(), // what is due each minute is done by hand
      token,
    }),
  });
  async function joined(people: People, name: string, role: string): Promise<void> {
    await people.users.accept(people.users.invite(name, role).invitation.code, passwordOf(name));
  }

  test("who is let in, disabled or revoked by one, is so at the other without its asking", async () => {
    const [a, b] = await server.pair(peopleOver);
    await joined(a.people, "anna", "operator");
    await until(() => b.people.users.has("anna"));
    assert.equal((await b.people.users.login("anna", passwordOf("anna"), "192.0.2.1")).ok, true);
    const { value } = b.people.sessions.begin("anna", "192.0.2.1", "browser");
    const key = b.people.keys.make(
      "anna",
      { kind: "api", name: "k", permissions: ["fleet:read"] },
      new Set(["fleet:read"]),
    );
    await until(() => a.people.byToken(key.secret, "::1") !== null && a.people.byCookie(value) !== null);
    let told = 0;
    b.people.onChange(() => told++);
    a.people.revokeKey(key.key.id);
    await until(() => b.people.byToken(key.secret, "::1") === null);
    a.people.users.setDisabled("anna", true);
    await until(() => b.people.byCookie(value) === null);
    assert.ok(told >= 2, "whoever holds an actor looks again");
    a.people.users.delete("anna");
    await until(() => !b.people.users.has("anna"));
    assert.throws(() => b.people.sessions.begin("anna", "::1", "b"), is("LOGIN_REFUSED"));
  });

  test("what one has not heard of yet is not undone by its own change", async () => {
    const [a, b] = await server.pair(peopleOver);
    for (const name of ["anna", "bert"]) await joined(a.people, name, "administrator");
    await until(() => b.people.users.hasAdministrator && b.people.users.has("bert"));
    a.people.users.setDisabled("anna", true);
    // In the same turn of the event loop: nothing was heard.
    assert.throws(() => b.people.users.setDisabled("bert", true), is("LAST_ADMINISTRATOR"));
    assert.equal(b.people.users.setRole("anna", "viewer").state, "disabled");
    a.people.users.delete("anna");
    assert.throws(() => b.people.users.setRole("anna", "operator"), is("NOT_FOUND"));
    assert.throws(
      () => b.people.keys.make("anna", { kind: "api", name: "k", permissions: [] }, new Set()),
      is("KEY_INVALID"),
    );
    a.people.users.invite("carl", "viewer");
    assert.throws(() => b.people.users.invite("carl", "administrator"), is("ALREADY_EXISTS"));
    assert.equal(a.people.users.get("carl").role, "viewer");
  });

  test("an invitation that both take at once is one person's", async () => {
    const [a, b] = await server.pair(peopleOver);
    const { code } = a.people.users.invite("anna", "operator").invitation;
    await until(() => b.people.users.has("anna"));
    const passwords = ["the zebra of the first", "the zebra of the second"];
    const outcomes = await Promise.allSettled([a, b].map(({ people }, n) => people.users.accept(code, passwords[n]!)));
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    const right = passwords[outcomes.findIndex(({ status }) => status === "fulfilled")]!;
    for (const { people } of [a, b]) {
      await until(() => people.users.get("anna").state === "active");
      assert.equal((await people.users.login("anna", right, "192.0.2.1")).ok, true);
    }
  });

  test("failed log-ins are counted together: two platforms give nobody twice the guesses", async () => {
    const [a, b] = await server.pair(peopleOver);
    await joined(a.people, "anna", "administrator");
    await until(() => b.people.users.hasAdministrator);
    const why = async ({ people }: typeof a, password: string, address: string): Promise<string> => {
      const result = await people.users.login("anna", password, address);
      return result.ok ? "ok" : result.why;
    };
    const { loginsFreePerName } = LIMITS.people;
    const odd = "\u0000\ud800";
    for (let n = 0; n < loginsFreePerName; n++) {
      assert.equal(await why(n % 2 === 0 ? a : b, "wrong", `192.0.2.${n}`), "wrong-password");
      assert.equal((await a.people.users.login(odd, "wrong", `192.0.3.${n}`)).ok, false);
    }
    for (const one of [a, b]) assert.equal(await why(one, passwordOf("anna"), "192.0.2.99"), "too-often");
    // The time is the server's.
    const waited = "UPDATE login_failures SET until = until - 1000, last_at = last_at - 1000 WHERE tenant = $1";
    a.sql.transaction(() => a.sql.change(waited, []));
    assert.equal(await why(b, passwordOf("anna"), "192.0.2.99"), "ok");
    assert.equal(await why(a, "wrong", "192.0.2.98"), "wrong-password", "a success begins anew");
    const { loginsFreePerAddress } = LIMITS.people;
    for (let n = 0; n < loginsFreePerAddress; n++)
      await [a, b][n % 2]!.people.users.login(`u${n}`, "x", "198.51.100.1");
    assert.equal(await why(a, passwordOf("anna"), "198.51.100.1"), "too-often");
    assert.equal(
      await why(b, passwordOf("anna"), "198.51.100.2"),
      "ok",
      "and what was refused unseen counts for nobody",
    );
    const count = (): number => Number(a.sql.rows("SELECT count(*) FROM login_failures WHERE tenant = $1")[0]![0]);
    const old = `UPDATE login_failures SET last_at = last_at - ${LIMITS.people.loginForgetAfter + 1} WHERE tenant = $1`;
    assert.ok(count() > 0);
    a.sql.transaction(() => a.sql.change(old, []));
    a.people.flush();
    assert.equal(count(), 0);
  });

  test("last uses bring nothing back, and a session that is seen at one does not end at the other", async () => {
    const [a, b] = await server.pair(peopleOver);
    await joined(a.people, "anna", "operator");
    const { value, session } = a.people.sessions.begin("anna", "192.0.2.1", "browser");
    const other = a.people.sessions.begin("anna", "192.0.2.1", "browser");
    const key = a.people.keys.make(
      null,
      { kind: "api", name: "k", permissions: ["fleet:read"] },
      new Set(["fleet:read"]),
    );
    await until(() => b.people.byToken(key.secret, "::1") !== null && b.people.byCookie(other.value) !== null);
    clock.advance(minutes(2));
    b.people.byToken(key.secret, "::2");
    b.people.byCookie(other.value);
    a.people.revokeKey(key.key.id);
    a.people.endSessions(({ id }) => id === other.session.id);
    b.people.flush(); // before it has heard
    assert.deepEqual([a.store.load().keys, a.store.load().sessions.map(({ id }) => id)], [[], [session.id]]);
    for (let passed = 0; passed <= LIMITS.people.sessionIdle; passed += hours(12)) {
      clock.advance(hours(12));
      assert.notEqual(a.people.byCookie(value), null);
      a.people.flush();
    }
    b.people.flush();
    assert.notEqual(a.people.byCookie(value), null);
    assert.notEqual(b.people.byCookie(value), null, "it has seen how it is");
  });
});
