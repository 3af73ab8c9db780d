import { floorOf } from "../cast.ts";
import { decimalOf } from "../arithmetic.ts";
import { Decimal } from "../decimal.ts";
import { settle, toSqlNumber } from "../value.ts";
import type { SqlNumber, SqlValue } from "../value.ts";

/** Bits of a whole number that both engines can hold: below this, JavaScript's own operators do. */
const WORD_MAX = 2 ** 31;

/** AWS IoT rounds down what is not whole, strings too. */
function bitsOf(value: SqlValue): SqlNumber | undefined {
  return floorOf(toSqlNumber(value));
}

export function bitwise(
  args: readonly SqlValue[],
  ofWords: (a: number, b: number) => number,
  ofInts: (a: bigint, b: bigint) => bigint,
): SqlNumber | undefined {
  const [a, b] = [bitsOf(args[0]), bitsOf(args[1])];
  if (a === undefined || b === undefined) return undefined;
  if (typeof a === "number" && typeof b === "number" && isWord(a) && isWord(b)) return ofWords(a, b);
  return settle(Decimal.ofInt(ofInts(decimalOf(a).toBigInt(), decimalOf(b).toBigInt())));
}

function isWord(value: number): boolean {
  return value < WORD_MAX && value >= -WORD_MAX;
}
