/** `cast(value AS type)`: like the silent conversions, and between booleans and numbers. */
import { Decimal } from "./decimal.ts";
import type { CastType } from "./tree.ts";
import { settle, toBoolean, toSqlNumber, toText } from "./value.ts";
import type { SqlNumber, SqlValue } from "./value.ts";
import { isFirstVersion } from "./version.ts";
import type { SqlVersion } from "./version.ts";

export function castTo(type: CastType, version: SqlVersion): (value: SqlValue) => SqlValue {
  switch (type) {
    case "string":
      return toText;
    case "decimal":
      return isFirstVersion(version)
        ? (value) => (typeof value === "boolean" ? bit(value) : castNumber(value))
        : castNumber;
    case "int":
      return (value) => floorOf(castNumber(value)); // rounds down, unlike the silent conversion (gotcha 6)
    case "boolean":
      return (value) =>
        typeof value === "number" ? value !== 0 : value instanceof Decimal ? value.sign !== 0 : toBoolean(value);
  }
}

export function floorOf(number: SqlNumber | undefined): SqlNumber | undefined {
  return number instanceof Decimal ? settle(number.floor()) : number === undefined ? undefined : Math.floor(number);
}

function castNumber(value: SqlValue): SqlNumber | undefined {
  return typeof value === "boolean" ? Number(value) : toSqlNumber(value);
}

/** Version 2015: true is 1.0, which is not the Int 1. */
function bit(value: boolean): SqlValue {
  return Decimal.parse(value ? "1.0" : "0.0") ?? undefined;
}
