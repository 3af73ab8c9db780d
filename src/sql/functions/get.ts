import { itemOf } from "./item.ts";
import type { SqlFunction } from "./function.ts";

export const getFunction: SqlFunction = {
  name: "get",
  group: "type",
  signature: "get(collection, key)",
  summary:
    "The item of an array or the character of a text by its index (counted from 0), or the value of an object by its key.",
  examples: [
    ["get(['a', 'b', 'c'], 1)", '"b"'],
    ["get({'my-key': 'b'}, 'my-key')", '"b"'],
    ["get('abc', 1)", '"b"'],
    ["get([1], 5)", "Undefined"],
    ["get({'1': 2}, 1)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call: ([collection, key]) => itemOf(collection, key),
  star: { argument: 0, call: ([, key], input) => itemOf(input.json(), key) },
};
