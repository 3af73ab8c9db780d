import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, property, uint8Array } from "fast-check";
import { formatJoinCode, parseJoinCode } from "./join-code.ts";

const five = uint8Array({ minLength: 5, maxLength: 5 });
const ten = uint8Array({ minLength: 10, maxLength: 10 });

test("a code is read back, however it was typed", () => {
  check(
    property(five, ten, (secret, fingerprint) => {
      const code = formatJoinCode({ secret, fingerprint });
      assert.match(code, /^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$/);
      for (const typed of [
        code,
        code.toLowerCase(),
        code.replaceAll("-", " "),
        code.replaceAll("0", "O").replaceAll("1", "l"),
      ])
        assert.deepEqual(parseJoinCode(typed), { secret, fingerprint });
    }),
  );
});

test("what is no code is said why", () => {
  const code = formatJoinCode({ secret: new Uint8Array(5), fingerprint: new Uint8Array(10) });
  assert.deepEqual(parseJoinCode(code.slice(1)), { fault: "it has 23 letters and digits, not 24" });
  assert.deepEqual(parseJoinCode(code.replace("0", "U")), { fault: "'U' stands in no code" });
});
