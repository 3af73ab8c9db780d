import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock, SimRandom } from "../../../sim/world.ts";
import { LIMITS, isTidewireError } from "../../base/mod.ts";
import { Sessions, bearerOf, cookieOf } from "./session.ts";

type Entries = readonly (readonly [string, number])[];

function sessions(clock = new SimClock(), key = 1, disk: { entries: Entries } = { entries: [] }): Sessions {
  return new Sessions({
    ended: { load: () => disk.entries, save: (entries) => (disk.entries = entries) },
    adminToken: "tw_right",
    sessionKey: new Uint8Array(32).fill(key),
    clock,
    random: new SimRandom(7),
  });
}

test("a login code works once and not again", () => {
  const book = sessions();
  const code = book.issueCode();
  book.redeemCode(code);
  assert.throws(
    () => book.redeemCode(code),
    (error) => isTidewireError(error) && error.code === "LOGIN_CODE_INVALID",
  );
});

test("a login code that waited too long is refused", () => {
  const clock = new SimClock();
  const book = sessions(clock);
  const code = book.issueCode();
  clock.advance(LIMITS.http.loginCodeLifetime + 1);
  assert.throws(() => book.redeemCode(code));
});

test("login codes are bounded: the oldest goes first, and those that ran out make room before", () => {
  const clock = new SimClock();
  const book = sessions(clock);
  const codes = Array.from({ length: LIMITS.http.loginCodesMax + 1 }, () => book.issueCode());
  assert.throws(() => book.redeemCode(codes[0]!));
  book.redeemCode(codes[1]!);
  book.redeemCode(codes.at(-1)!);
  clock.advance(LIMITS.http.loginCodeLifetime + 1);
  const fresh = book.issueCode();
  book.issueCode();
  book.redeemCode(fresh);
});

test("ending what is no session writes nothing: strangers may ask for it", () => {
  const clock = new SimClock();
  const disk: { entries: Entries } = { entries: [["untouched", 1]] };
  const book = sessions(clock, 1, disk);
  const told: string[] = [];
  book.onEnd((cookie) => told.push(cookie));
  for (const value of ["", "x", "1.2.3", sessions(clock, 2).issueCookie().value]) book.endCookie(value);
  assert.deepEqual([disk.entries, told], [[["untouched", 1]], []]);
  const { value } = book.issueCookie();
  book.endCookie(value);
  book.endCookie(value);
  assert.deepEqual(told, [value]);
});

test("a session cookie is good until it ends, also for another process with the same key", () => {
  const clock = new SimClock();
  const { value, expiresAt } = sessions(clock).issueCookie();
  assert.equal(sessions(clock).cookieExpiry(value), expiresAt);
  clock.advance(LIMITS.http.sessionLifetime + 1);
  assert.equal(sessions(clock).cookieExpiry(value), null);
});

test("a cookie that was changed in any character, or signed with another key, is refused", () => {
  const clock = new SimClock();
  const book = sessions(clock);
  const { value } = book.issueCookie();
  for (let i = 0; i < value.length; i++) {
    const forged = `${value.slice(0, i)}${value[i] === "x" ? "y" : "x"}${value.slice(i + 1)}`;
    assert.equal(book.cookieExpiry(forged), null, forged);
  }
  assert.equal(sessions(clock, 2).cookieExpiry(value), null);
  assert.equal(book.cookieExpiry(""), null);
});

test("a session that was logged out is over at once, and stays so after a restart", () => {
  const clock = new SimClock();
  const disk: { entries: Entries } = { entries: [] };
  const book = sessions(clock, 1, disk);
  const { value } = book.issueCookie();
  book.endCookie(value);
  assert.equal(book.cookieExpiry(value), null);
  assert.equal(sessions(clock, 1, disk).cookieExpiry(value), null);
});

test("a logged-out session is forgotten once it would have ended anyway", () => {
  const clock = new SimClock();
  const disk: { entries: Entries } = { entries: [] };
  const book = sessions(clock, 1, disk);
  book.endCookie(book.issueCookie().value);
  clock.advance(LIMITS.http.sessionLifetime + 1);
  book.endCookie(book.issueCookie().value);
  assert.equal(disk.entries.length, 1);
});

test("only the exact administrator token is taken", () => {
  const book = sessions();
  assert.equal(book.isAdminToken("tw_right"), true);
  for (const wrong of ["", "tw_righ", "tw_rightx", "TW_RIGHT"]) assert.equal(book.isAdminToken(wrong), false, wrong);
});

test("headers: bearer token and cookie are found, and nothing else is", () => {
  assert.equal(bearerOf("Bearer abc"), "abc");
  assert.equal(bearerOf("bearer  abc"), "abc");
  assert.equal(bearerOf("Basic abc"), null);
  assert.equal(bearerOf(undefined), null);
  assert.equal(cookieOf("a=1; tw_session=x.y=z; b=2", "tw_session"), "x.y=z");
  assert.equal(cookieOf("xtw_session=1", "tw_session"), null);
});
