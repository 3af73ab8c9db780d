/** `cast(value AS type)`: like the silent conversions, and between booleans and numbers. */
import type { CastType } from "./tree.ts";
import { toBoolean, toNumber, toText } from "./value.ts";
import type { SqlValue } from "./value.ts";

export const CASTS: Readonly<Record<CastType, (value: SqlValue) => SqlValue>> = {
  string: toText,
  decimal: castNumber,
  int: (value) => {
    const number = castNumber(value);
    return number === undefined ? undefined : Math.floor(number); // rounds down, unlike the silent conversion
  },
  boolean: (value) => (typeof value === "number" ? value !== 0 : toBoolean(value)),
};

function castNumber(value: SqlValue): number | undefined {
  return typeof value === "boolean" ? Number(value) : toNumber(value);
}
