import assert from "node:assert/strict";
import { test } from "node:test";
import { sealingWith } from "./sealing.ts";

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

test("what is sealed opens with the same key for the same use, and with nothing else", () => {
  const sealing = sealingWith(key(1));
  const sealed = sealing.seal("the secret", "TWAK1");
  assert.ok(!sealed.includes("secret"));
  assert.notEqual(sealed, sealing.seal("the secret", "TWAK1"));
  assert.equal(sealingWith(key(1)).open(sealed, "TWAK1"), "the secret");
  assert.equal(sealing.open(sealed, "TWAK2"), null);
  assert.equal(sealingWith(key(2)).open(sealed, "TWAK1"), null);
  for (const broken of [
    "",
    "v1.",
    "v1.AAAA",
    sealed.slice(0, -4),
    sealed.replace("v1.", "v2."),
    `${sealed.slice(0, -2)}AA`,
  ]) {
    assert.equal(sealing.open(broken, "TWAK1"), null, broken);
  }
});

test("hashes of sessions need the key; those of tokens do not", () => {
  assert.notEqual(sealingWith(key(1)).hmac("x"), sealingWith(key(2)).hmac("x"));
  assert.equal(sealingWith(key(1)).sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
