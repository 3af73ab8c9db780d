import assert from "node:assert/strict";
import { test } from "node:test";
import { KeySequence } from "./shortcut-keys.ts";

test("a key belongs to the g before it for one second, and only the next key does", () => {
  const sequence = new KeySequence();
  assert.equal(sequence.follows({ key: "g", timeStamp: 5000 }), false);
  assert.equal(sequence.follows({ key: "f", timeStamp: 5999 }), true);
  assert.equal(sequence.follows({ key: "a", timeStamp: 6000 }), false);
  sequence.follows({ key: "g", timeStamp: 7000 });
  assert.equal(sequence.follows({ key: "f", timeStamp: 8000 }), false);
});

test("a key in the first second of the page stands for itself", () => {
  assert.equal(new KeySequence().follows({ key: "f", timeStamp: 900 }), false);
});
