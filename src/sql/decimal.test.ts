import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { arithmeticOf } from "./arithmetic.ts";
import { Decimal } from "./decimal.ts";
import { settle } from "./value.ts";
import type { SqlNumber } from "./value.ts";

const exact = (text: string): Decimal => Decimal.parse(text)!;

test("parsing keeps 34 digits, rounds the rest half to even, and knows its range", () => {
  for (const [text, printed] of [
    ["0.10", "0.10"],
    ["-12.5E+1", "-125"],
    ["1234567890123456789012345678901234", "1234567890123456789012345678901234"],
    ["12345678901234567890123456789012345", "1.234567890123456789012345678901234E+34"], // a tie goes to even …
    ["12345678901234567890123456789012355", "1.234567890123456789012345678901236E+34"],
    [`1234567890123456789012345678901234${"5".padEnd(100, "0")}1`, "1.234567890123456789012345678901235E+134"], // … this is none
    ["9.99E999", "9.99E+999"],
    ["1E-999", "1E-999"],
    ["1E-1001", "0"],
  ] as const) {
    assert.equal(exact(text).toString(), printed);
  }
  for (const text of ["1E1000", "", "x", "+5", ".5", "5.", "1e", "0x1", "1E99999999"])
    assert.equal(Decimal.parse(text), null);
});

test("a megabyte of digits is parsed at once", () => {
  assert.equal(Decimal.parse("1".repeat(1_000_000)), null); // larger than 9.9E999
  assert.equal(exact(`0.${"1".repeat(1_000_000)}`).toString(), `0.${"1".repeat(34)}`);
});

const small = fc.tuple(fc.bigInt(-(10n ** 16n), 10n ** 16n), fc.nat(8)).map(([digits, scale]) => {
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, "0");
  const point = scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`;
  return { text: (digits < 0n ? "-" : "") + point, digits, scale };
});

test("sums, differences and products are those of whole numbers, whichever way they are computed", () => {
  const asNumber = (text: string): SqlNumber => settle(exact(text))!;
  fc.assert(
    fc.property(small, small, (a, b) => {
      const scale = Math.max(a.scale, b.scale);
      const x = a.digits * 10n ** BigInt(scale - a.scale);
      const y = b.digits * 10n ** BigInt(scale - b.scale);
      for (const [operator, digits, places] of [
        ["+", x + y, scale],
        ["-", x - y, scale],
        ["*", a.digits * b.digits, a.scale + b.scale],
      ] as const) {
        const result = arithmeticOf(operator, false, "2016-03-23")(asNumber(a.text), asNumber(b.text))!;
        assert.equal(String(result), String(settle(exact(`${digits}E-${places}`))), `${a.text} ${operator} ${b.text}`);
      }
    }),
    { numRuns: 3000 },
  );
});

test("division and remainder belong together, and signs are the dividend's", () => {
  fc.assert(
    fc.property(small, small, (a, b) => {
      fc.pre(b.digits !== 0n);
      const [x, y] = [exact(a.text), exact(b.text)];
      const rest = x.remainder(y)!;
      assert.ok(rest.sign === 0 || rest.sign === x.sign);
      const whole = x.minus(rest)!.dividedBy(y)!;
      assert.equal(whole.compare(whole.truncated(0)), 0);
      assert.equal(whole.times(y)!.plus(rest)!.compare(x), 0);
    }),
    { numRuns: 2000 },
  );
});

test("rounding down, up, to the nearest and off are exact, for negative ones too", () => {
  for (const [text, floor, ceil, rounded, cut] of [
    ["2.5", "2", "3", "3", "2"],
    ["-2.5", "-3", "-2", "-3", "-2"],
    [
      "-12345678901234567890.4",
      "-12345678901234567891",
      "-12345678901234567890",
      "-12345678901234567890",
      "-12345678901234567890",
    ],
    ["7", "7", "7", "7", "7"],
  ] as const) {
    const value = exact(text);
    assert.deepEqual([value.floor(), value.ceil(), value.rounded(), value.truncated(0)].map(String), [
      floor,
      ceil,
      rounded,
      cut,
    ]);
  }
});
