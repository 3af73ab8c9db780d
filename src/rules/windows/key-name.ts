/** GROUP BY's values ⇄ the name of a key. One text is its own name; everything else is JSON behind a mark. */
import type { SqlInput, StateValue } from "../../sql/mod.ts";

const MARK = "\u0000";
/** The one group of all. */
const ALL = `${MARK}[]`;

/** Null where a value is Undefined: the message belongs to no group. */
export function keyName(keys: readonly ((input: SqlInput) => StateValue)[], input: SqlInput): string | null {
  if (keys.length === 0) return ALL;
  if (keys.length === 1) {
    const value = keys[0]!(input);
    if (value === undefined) return null;
    return typeof value === "string" && value !== "" && !value.startsWith(MARK)
      ? value
      : MARK + JSON.stringify([value]);
  }
  const values: StateValue[] = [];
  for (const key of keys) {
    const value = key(input);
    if (value === undefined) return null;
    values.push(value);
  }
  return MARK + JSON.stringify(values);
}

/** Puts the values of a key into the first slots. */
export function keyValues(name: string, count: number, slots: StateValue[]): void {
  if (count === 0) return;
  if (!name.startsWith(MARK)) slots[0] = name;
  else for (const [i, value] of (JSON.parse(name.slice(MARK.length)) as StateValue[]).entries()) slots[i] = value;
}
