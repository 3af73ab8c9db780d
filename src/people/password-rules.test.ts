import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { passwordFault } from "./password-rules.ts";

describe("passwords (NIST SP 800-63B section 5.1.1.2)", () => {
  for (const [password, says] of [
    ["correct horse battery", null],
    ["nur kleine buchstaben", null],
    ["пароль на каждый день", null],
    ["🚲🚀🌲🍏🚲🚀🌲🍏🎷🎲", null],
    ["short one", /9 characters/],
    ["x".repeat(257), /more than 256/],
    ["Password123", /everybody tries/],
    ["１２３４５６７８９０", /everybody tries/],
    ["aaaaaaaaaaaa", /again and again/],
    ["ababababab", /again and again/],
    ["abcdefghijklm", /row of neighbours/],
    ["zyxwvutsrqpon", /row of neighbours/],
    ["tidewire-99", /little more than 'tidewire'/],
    ["anna.smith1", /little more than 'anna.smith'/],
  ] as const) {
    test(`'${password.slice(0, 24)}'`, () => {
      const fault = passwordFault(password, "anna.smith");
      if (says === null) assert.equal(fault, null);
      else assert.match(fault ?? "fine", says);
    });
  }
});
