import { isObject, setKey } from "../value.ts";
import type { SqlJson, SqlObject, SqlValue } from "../value.ts";
import type { SqlFunction } from "./function.ts";

/** AWS IoT's limit of the result. */
const RESULT_BYTES_MAX = 128 * 1024;

export const transformFunction: SqlFunction = {
  name: "transform",
  group: "array",
  since: "2016-03-23",
  signature: "transform('enrichArray', attributes, array)",
  summary: "The objects of the array, each with the attributes added. At most 128 KiB.",
  examples: [
    ["transform('enrichArray', {'d': 1}, [{'a': 3}, {'b': 4}])", '[{"a":3,"d":1},{"b":4,"d":1}]'],
    ["transform('enrichArray', {'a': 1}, [{'a': 3}])", '[{"a":1}]'],
    ["transform('enrichArray', {'d': 1}, [5])", "Undefined"],
    ["transform('other', {}, [])", "Undefined"],
  ],
  argsMin: 3,
  argsMax: 3,
  pure: true,
  fixedArguments: [0],
  call([mode, attributes, array]) {
    if (mode !== "enrichArray" || !isObject(attributes) || !Array.isArray(array)) return undefined;
    return enriched(attributes, array as readonly SqlJson[]);
  },
};

function enriched(attributes: SqlObject, array: readonly SqlJson[]): SqlValue {
  const items: SqlJson[] = [];
  const added = JSON.stringify(attributes).length;
  if (added * array.length > RESULT_BYTES_MAX) return undefined; // told before it is built
  for (const item of array) {
    if (!isObject(item)) return undefined;
    const merged: Record<string, SqlJson> = {};
    for (const from of [item, attributes]) for (const key of Object.keys(from)) setKey(merged, key, from[key]!);
    items.push(merged);
  }
  return new TextEncoder().encode(JSON.stringify(items)).length > RESULT_BYTES_MAX ? undefined : items;
}
