import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LIMITS, isTidewireError } from "../base/mod.ts";
import type { ErrorCode } from "../base/mod.ts";
import { ADDRESS, passwordOf, peopleWorld } from "./people.fixture.ts";
import { PERMISSIONS, permissionsOf } from "./permissions.ts";
import type { LoginResult } from "./users.ts";

const ALL = new Set(PERMISSIONS);
const is =
  (code: ErrorCode) =>
  (error: unknown): boolean =>
    isTidewireError(error) && error.code === code;
const why = (result: LoginResult): string => (result.ok ? "ok" : result.why);

describe("users", () => {
  test("an invitation sets the password once; it ends by use, by time, and with the next one", async () => {
    const { people, clock } = peopleWorld();
    const first = people.users.invite("Anna", "operator");
    assert.deepEqual([first.user.name, first.user.state], ["anna", "invited"]);
    const { invitation } = people.users.reset("anna");
    await assert.rejects(people.users.accept(first.invitation.code, passwordOf("anna")), is("INVITATION_INVALID"));
    await assert.rejects(people.users.accept(invitation.code, "short"), is("PASSWORD_UNFIT"));
    assert.equal((await people.users.accept(invitation.code, passwordOf("anna"))).state, "active");
    await assert.rejects(people.users.accept(invitation.code, passwordOf("anna")), is("INVITATION_INVALID"));
    const late = people.users.invite("bert", "viewer").invitation.code;
    clock.advance(LIMITS.people.invitationLifetime);
    assert.throws(() => people.users.invited(late), is("INVITATION_INVALID"));
  });

  test("of two who take one invitation at the same time, one gets in", async () => {
    const { people } = peopleWorld();
    const { code } = people.users.invite("anna", "viewer").invitation;
    const both = await Promise.allSettled([
      people.users.accept(code, passwordOf("a")),
      people.users.accept(code, passwordOf("bb")),
    ]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  });

  test("the right password logs in; everything else is one answer, and costs as much", async () => {
    const { people, joined, hasher } = peopleWorld();
    const password = await joined("anna");
    await joined("carl");
    people.users.invite("bert", "viewer");
    await joined("admin", "administrator");
    people.users.setDisabled("carl", true);
    assert.equal(why(await people.users.login(" ANNA ", password, ADDRESS)), "ok");
    const messages = new Set<string>();
    for (const [name, text, reason] of [
      ["anna", "not the password", "wrong-password"],
      ["nobody", password, "unknown-user"],
      ["bert", "x", "no-password"],
      ["carl", passwordOf("carl"), "disabled"],
    ] as const) {
      const before = hasher.verified;
      const result = await people.users.login(name, text, ADDRESS);
      assert.equal(why(result), reason);
      assert.equal(hasher.verified, before + 1, `${name} is verified like everybody else`);
      if (!result.ok) messages.add(`${result.error.code} ${result.error.message}`);
    }
    assert.equal(messages.size, 1);
  });

  test("a stored password of older parameters is hashed anew at the next log-in", async () => {
    const { people, joined, hasher, store } = peopleWorld();
    const password = await joined("anna");
    hasher.parameters = "2";
    assert.equal(why(await people.users.login("anna", password, ADDRESS)), "ok");
    assert.match(store.users.get("anna")!.password!, /^2:/);
    assert.equal(why(await people.users.login("anna", password, ADDRESS)), "ok");
  });

  test("guessing gets slower, for the name from every address, and for the address with every name", async () => {
    const { people, joined, clock } = peopleWorld();
    const password = await joined("anna");
    const { loginsFreePerName, loginsFreePerAddress, loginDelayMaxPerName } = LIMITS.people;
    for (let n = 0; n < loginsFreePerName; n++) {
      assert.equal(why(await people.users.login("anna", "wrong", `192.0.2.${n}`)), "wrong-password");
    }
    assert.equal(
      why(await people.users.login("anna", password, ADDRESS)),
      "too-often",
      "not even the right one is looked at",
    );
    clock.advance(LIMITS.people.loginDelayMin);
    assert.equal(
      why(await people.users.login("anna", password, ADDRESS)),
      "ok",
      "and its owner gets in after the wait",
    );
    for (let n = 0; n < 40; n++) {
      await people.users.login("anna", "wrong", `192.0.2.${n}`);
      clock.advance(loginDelayMaxPerName);
    }
    assert.equal(why(await people.users.login("anna", password, ADDRESS)), "ok", "the wait of a name is bounded");
    for (let n = 0; n < loginsFreePerAddress; n++) await people.users.login(`guess-${n}`, "x", "198.51.100.1");
    assert.equal(why(await people.users.login("anna", password, "198.51.100.1")), "too-often");
    assert.equal(why(await people.users.login("anna", password, "198.51.100.2")), "ok");
  });

  test("a network of IPv6 counts as one address; an IPv4 address in IPv6's clothes as itself", async () => {
    const { people } = peopleWorld();
    for (let n = 0; n < LIMITS.people.loginsFreePerAddress; n++) {
      await people.users.login(`guess-${n}`, "x", `2001:db8:0:1::${n.toString(16)}`);
      await people.users.login(`other-${n}`, "x", "::ffff:203.0.113.9");
    }
    assert.equal(why(await people.users.login("a", "x", "2001:db8:0:1:ffff:ffff:ffff:ffff")), "too-often");
    assert.equal(why(await people.users.login("b", "x", "2001:db8:0:2::1")), "unknown-user");
    assert.equal(why(await people.users.login("c", "x", "203.0.113.9")), "too-often");
    assert.equal(why(await people.users.login("d", "x", "203.0.113.10")), "unknown-user");
  });

  test("a hundred guesses at once are not free", async () => {
    const { people, joined } = peopleWorld();
    await joined("anna");
    const results = await Promise.all(Array.from({ length: 100 }, () => people.users.login("anna", "x", ADDRESS)));
    assert.equal(results.filter((result) => why(result) === "wrong-password").length, LIMITS.people.loginsFreePerName);
  });

  test("the last administrator who can log in stays one, and stays", async () => {
    const { people, joined } = peopleWorld();
    await joined("anna", "administrator");
    people.users.invite("bert", "administrator"); // he has no password yet
    const last = is("LAST_ADMINISTRATOR");
    assert.throws(() => people.users.delete("anna"), last);
    assert.throws(() => people.users.setRole("anna", "viewer"), last);
    assert.throws(() => people.users.setDisabled("anna", true), last);
    assert.throws(() => people.users.reset("anna"), last);
    people.users.delete("bert");
    await joined("carl", "administrator");
    people.users.delete("anna");
    assert.deepEqual(
      people.users.list().map(({ name }) => name),
      ["carl"],
    );
  });

  for (const [name, role] of [
    ["", "viewer"],
    ["a b", "viewer"],
    ["-a", "viewer"],
    ["a".repeat(65), "viewer"],
    ["ä", "viewer"],
    ["../x", "viewer"],
    ["a", "root"],
    ["a", "__proto__"],
  ] as const) {
    test(`no user '${name.slice(0, 10)}' with the role ${role}`, () => {
      assert.throws(() => peopleWorld().people.users.invite(name, role), is("USER_INVALID"));
    });
  }

  test("what the disk refuses has not happened", async () => {
    const { people, store, joined } = peopleWorld();
    await joined("anna", "viewer");
    store.failure = new Error("disk full");
    assert.throws(() => people.users.setRole("anna", "operator"), /disk full/);
    assert.throws(() => people.users.invite("bert", "viewer"), /disk full/);
    assert.deepEqual(
      people.users.list().map(({ name, role }) => [name, role]),
      [["anna", "viewer"]],
    );
  });
});

describe("sessions", () => {
  test("a cookie is an actor with its user's rights, as they are now, over a restart, until it is ended", async () => {
    const { people, joined, restarted } = peopleWorld();
    await joined("anna", "operator");
    const { value, session } = people.sessions.begin("anna", ADDRESS, "Browser/1\u001b[31m");
    assert.equal(session.agent, "Browser/1[31m", "nothing of it can move a terminal's cursor");
    const { actor } = people.byCookie(value)!;
    assert.deepEqual(actor.identity, { kind: "user", user: "anna", session: session.id });
    assert.deepEqual(actor.permissions, permissionsOf("operator"));
    assert.deepEqual(restarted().byCookie(value)?.actor.identity, actor.identity);
    assert.equal(people.byCookie(`${value}x`), null);
    assert.equal(people.byCookie(session.id), null, "its id proves nothing");
    people.endSessions(({ id }) => id === session.id);
    assert.equal(people.byCookie(value), null);
    assert.equal(restarted().byCookie(value), null);
    assert.equal(people.again(actor), null);
  });

  test("nobody looking for two days ends it; a week ends it whoever looks", async () => {
    const { people, clock } = peopleWorld();
    const idle = people.sessions.begin(null, ADDRESS, "").value;
    const busy = people.sessions.begin(null, ADDRESS, "").value;
    const start = clock.now();
    while (clock.now() - start <= LIMITS.people.sessionIdle) {
      clock.advance(3_600_000);
      assert.notEqual(people.byCookie(busy), null);
    }
    assert.equal(people.byCookie(idle), null);
    while (clock.now() - start < LIMITS.http.sessionLifetime) {
      assert.notEqual(people.byCookie(busy), null);
      clock.advance(3_600_000);
    }
    assert.equal(people.byCookie(busy), null);
    assert.deepEqual(people.sessions.list(), []);
  });

  test("another role, a new invitation, an end of the account: his dashboards are over, others' are not, and who holds one is told", async () => {
    const { people, joined } = peopleWorld();
    await joined("admin", "administrator");
    await joined("bert");
    const other = people.sessions.begin("bert", ADDRESS, "").value;
    let told = 0;
    people.onChange(() => told++);
    for (const change of [
      () => people.users.setRole("anna", "operator"),
      () => people.users.reset("anna"),
      () => people.users.setDisabled("anna", true),
      () => people.users.delete("anna"),
    ]) {
      if (people.users.list().every(({ name }) => name !== "anna")) await joined("anna");
      const { value } = people.sessions.begin("anna", ADDRESS, "");
      const before = told;
      change();
      assert.equal(people.byCookie(value), null);
      assert.ok(told > before);
      if (people.users.list().some(({ name }) => name === "anna")) people.users.delete("anna");
    }
    assert.notEqual(people.byCookie(other), null);
  });

  test("a user's dashboards are bounded: the one used least recently goes", () => {
    const { people, clock } = peopleWorld();
    const values = Array.from({ length: LIMITS.people.sessionsPerUserMax + 1 }, () => {
      clock.advance(1000);
      return people.sessions.begin(null, ADDRESS, "").value;
    });
    assert.deepEqual([people.byCookie(values[0]!) === null, people.byCookie(values[1]!) === null], [true, false]);
  });
});

describe("keys", () => {
  const wanted = { kind: "api", name: "reports", permissions: ["telemetry:read", "fleet:read"] } as const;

  test("a token is an actor with its scopes, and its secret is nowhere on the disk", async () => {
    const { people, store, restarted } = peopleWorld();
    const { key, secret } = people.keys.make(null, wanted, ALL);
    assert.match(secret, /^twk_[a-z2-7]{12}_[A-Za-z0-9_-]{43}$/);
    assert.ok(secret.startsWith(`twk_${key.id}_`), "what is shown in lists finds it");
    const actor = people.byToken(secret, ADDRESS)!;
    assert.deepEqual([...actor.permissions].sort(), ["fleet:read", "telemetry:read"]);
    assert.ok(!JSON.stringify([...store.keys.values()]).includes(secret.slice(-43)));
    assert.notEqual(restarted().byToken(secret, ADDRESS), null);
    for (const wrong of [
      `${secret}x`,
      secret.slice(0, -1),
      secret.replace(/.$/, (c) => (c === "A" ? "B" : "A")),
      `twk_${key.id}_`,
      "",
    ]) {
      assert.equal(people.byToken(wrong, ADDRESS), null, wrong);
    }
  });

  test("never more than its owner may now; nothing when he is gone, disabled, or the key is revoked or old", async () => {
    const { people, joined, clock } = peopleWorld();
    await joined("admin", "administrator");
    await joined("anna", "operator");
    const operator = permissionsOf("operator");
    assert.throws(
      () => people.keys.make("anna", { ...wanted, permissions: ["policies:write"] }, operator),
      is("KEY_INVALID"),
    );
    const { key, secret } = people.keys.make(
      "anna",
      { ...wanted, permissions: ["fleet:read", "fleet:write"] },
      operator,
    );
    const may = (): readonly string[] | null => {
      const actor = people.byToken(secret, ADDRESS);
      return actor === null ? null : [...actor.permissions];
    };
    const held = people.byToken(secret, ADDRESS)!;
    assert.deepEqual(may(), ["fleet:read", "fleet:write"]);
    people.users.setRole("anna", "viewer");
    assert.deepEqual(may(), ["fleet:read"]);
    assert.deepEqual([...people.again(held)!.permissions], ["fleet:read"]);
    people.users.setDisabled("anna", true);
    assert.deepEqual([may(), people.again(held)], [null, null]);
    people.users.setDisabled("anna", false);
    people.revokeKey(key.id);
    assert.deepEqual([may(), people.again(held)], [null, null]);
    const short = people.keys.make(
      "anna",
      { ...wanted, permissions: ["fleet:read"], expiresAt: clock.now() + 1000 },
      operator,
    );
    assert.notEqual(people.byToken(short.secret, ADDRESS), null);
    clock.advance(1000);
    assert.equal(people.byToken(short.secret, ADDRESS), null);
    const last = people.keys.make("anna", { ...wanted, name: "last", permissions: ["fleet:read"] }, operator);
    people.users.delete("anna");
    assert.equal(people.byToken(last.secret, ADDRESS), null);
    assert.deepEqual(people.keys.list(), []);
  });

  test("an access key gives its secret back for verifying, and is no bearer token", () => {
    const { people } = peopleWorld();
    const { key, secret } = people.keys.make(null, { ...wanted, kind: "access" }, ALL);
    assert.match(key.id, /^TWAK[A-Z2-7]{16}$/);
    const found = people.bySigner(key.id, ADDRESS)!;
    assert.equal(found.secret, secret);
    assert.deepEqual(found.actor()?.identity, { kind: "access-key", key: key.id, name: "reports", owner: null });
    assert.equal(people.byToken(secret, ADDRESS), null);
    assert.equal(people.byToken(key.id, ADDRESS), null);
    people.revokeKey(key.id);
    assert.equal(people.bySigner(key.id, ADDRESS), null);
  });

  for (const [title, changes] of [
    ["a scope that does not exist", { permissions: ["fleet:admin"] }],
    ["no scope", { permissions: [] }],
    ["a name that moves the cursor", { name: "a\u001b[2J" }],
    ["a name of 65 characters", { name: "a".repeat(65) }],
    ["a filter instead of a thing", { things: ["line/+"] }],
    ["no things at all", { things: [] }],
    ["an expiry in the past", { expiresAt: 1 }],
  ] as const) {
    test(`no key with ${title}`, () => {
      assert.throws(() => peopleWorld().people.keys.make(null, { ...wanted, ...changes }, ALL), is("KEY_INVALID"));
    });
  }

  test("where and when it was used is told, and written to disk once in a while", () => {
    const { people, store, clock } = peopleWorld();
    const { key, secret } = people.keys.make(null, wanted, ALL);
    people.byToken(secret, ADDRESS);
    assert.equal(people.keys.get(key.id).lastUsedFrom, ADDRESS);
    assert.equal(store.keys.get(key.id)!.lastUsedAt, null);
    clock.advance(LIMITS.people.lastSeenSavedEvery);
    assert.equal(store.keys.get(key.id)!.lastUsedFrom, ADDRESS);
  });
});

describe("the platform's token", () => {
  test("rotating it ends the old one and what was opened with it; the new one is in its file", () => {
    const world = peopleWorld();
    const { people } = world;
    const { value } = people.sessions.begin(null, ADDRESS, "");
    const code = people.issueCode();
    const old = people.byToken("tw_first", ADDRESS)!;
    assert.equal(old.identity.kind, "token");
    assert.notEqual(people.again(old), null);
    const next = people.rotateToken();
    assert.equal(people.again(old), null, "what was begun with it goes, too");
    assert.match(next, /^tw_[A-Za-z0-9_-]{43}$/);
    assert.equal(world.token, next);
    assert.equal(people.byToken("tw_first", ADDRESS), null);
    assert.equal(people.byCookie(value), null);
    assert.throws(() => people.redeemCode(code), is("LOGIN_CODE_INVALID"));
    assert.notEqual(people.byToken(next, ADDRESS), null);
  });

  test("it can be revoked once somebody else can do what it does; whoever may write secrets/ can make another", async () => {
    const world = peopleWorld();
    const { people, joined } = world;
    assert.throws(() => people.revokeToken(), is("LAST_ADMINISTRATOR"));
    await joined("anna", "administrator");
    const { value } = people.sessions.begin(null, ADDRESS, "");
    const bearer = people.byToken("tw_first", ADDRESS)!;
    people.revokeToken();
    assert.deepEqual(
      [people.byToken("tw_first", ADDRESS), people.byCookie(value), people.again(bearer)],
      [null, null, null],
    );
    assert.equal(world.restarted().byToken("tw_first", ADDRESS), null);
    world.token = "tw_second";
    assert.notEqual(world.restarted().byToken("tw_second", ADDRESS), null);
  });

  test("a login code works once, not late, and not beyond their number", () => {
    const { people, clock } = peopleWorld();
    const code = people.issueCode();
    people.redeemCode(code);
    assert.throws(() => people.redeemCode(code), is("LOGIN_CODE_INVALID"));
    const late = people.issueCode();
    clock.advance(LIMITS.http.loginCodeLifetime + 1);
    assert.throws(() => people.redeemCode(late), is("LOGIN_CODE_INVALID"));
    const codes = Array.from({ length: LIMITS.http.loginCodesMax + 1 }, () => people.issueCode());
    assert.throws(() => people.redeemCode(codes[0]!), is("LOGIN_CODE_INVALID"));
    people.redeemCode(codes[1]!);
  });
});
