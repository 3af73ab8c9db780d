import assert from "node:assert/strict";
import { argon2Sync, randomBytes } from "node:crypto";
import { test } from "node:test";
import { LIMITS, isTidewireError } from "../base/mod.ts";
import { passwordHasher } from "./password-hash.ts";

test("argon2id with OWASP's parameters, each with its own salt; right, wrong, and made with others", async () => {
  const hasher = passwordHasher();
  const [one, two] = await Promise.all([hasher.hash("pass phrase"), hasher.hash("pass phrase")]);
  assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(one, two);
  assert.equal(await hasher.verify("pass phrase", one), "right");
  assert.equal(await hasher.verify("pass phrasf", one), "wrong");
  const [memory, passes, parallelism, nonce] = [8192, 3, 1, randomBytes(16)];
  const older = argon2Sync("argon2id", { message: "pass phrase", nonce, memory, passes, parallelism, tagLength: 32 });
  const text = `$argon2id$v=19$m=8192,t=3,p=1$${nonce.toString("base64").replace(/=+$/, "")}$${older.toString("base64").replace(/=+$/, "")}`;
  assert.equal(await hasher.verify("pass phrase", text), "outdated");
  assert.equal(await hasher.verify("x", text), "wrong");
});

test("scrypt where there is no argon2; each reads the other's and asks for its own", async () => {
  const [argon2, scrypt] = [passwordHasher(), passwordHasher({ argon2: false })];
  const stored = await scrypt.hash("pass phrase");
  assert.match(stored, /^\$scrypt\$ln=17,r=8,p=1\$/);
  assert.deepEqual(
    await Promise.all([
      scrypt.verify("pass phrase", stored),
      argon2.verify("pass phrase", stored),
      argon2.verify("x", stored),
    ]),
    ["right", "outdated", "wrong"],
  );
});

test("what is no hash, or asks for all of the memory, is nobody's password", async () => {
  const hasher = passwordHasher();
  for (const stored of [
    "",
    "pass phrase",
    "$argon2id$v=19$m=999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "$argon2id$v=19$m=19456,t=99,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "$scrypt$ln=30,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  ]) {
    assert.equal(await hasher.verify("pass phrase", stored), "wrong", stored);
  }
});

test("a crowd waits in line; who comes when the line is full is sent away", async () => {
  const hasher = passwordHasher();
  const { hashesAtOnceMax, hashesWaitingMax } = LIMITS.people;
  const all = await Promise.allSettled(
    Array.from({ length: hashesAtOnceMax + hashesWaitingMax + 3 }, () => hasher.hash("x")),
  );
  const refused = all.filter((one) => one.status === "rejected");
  assert.equal(refused.length, 3);
  for (const { reason } of refused) assert.ok(isTidewireError(reason) && reason.code === "TOO_MANY_REQUESTS");
  assert.match(await hasher.hash("x"), /^\$argon2id/, "and the line is free again");
});
