import type { SqlJson, SqlValue } from "../value.ts";
import { LIMITS } from "../../base/mod.ts";
import { bounded, toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const concatFunction: SqlFunction = {
  name: "concat",
  group: "string",
  signature: "concat(a, b, \u2026)",
  summary: "Joins texts, or arrays and items, into one.",
  examples: [
    ["concat('con', 'cat')", '"concat"'],
    ["concat(1, 'hello')", '"1hello"'],
    ["concat([1, 2], 'x', [3])", '[1,2,"x",3]'],
    ["concat(5)", "5"],
    ["concat()", "Undefined"],
    ["concat('a', NULL)", "Undefined"],
  ],
  argsMin: 0,
  argsMax: Infinity,
  pure: true,
  call(args) {
    if (args.length < 2) return args[0];
    if (args.some((value) => Array.isArray(value))) return joinArrays(args);
    if (!args.some((value) => typeof value === "string")) return undefined;
    let text: string | undefined = "";
    for (const value of args) {
      const part = toText(value);
      if (part === undefined) return undefined;
      text = bounded(text + part);
      if (text === undefined) return undefined;
    }
    return text;
  },
};

function joinArrays(args: readonly SqlValue[]): SqlValue {
  const items: SqlJson[] = [];
  for (const value of args) {
    if (value === undefined) return undefined;
    const size = Array.isArray(value) ? value.length : 1;
    if (items.length + size > LIMITS.rules.sqlStringCharsMax) return undefined;
    // One by one: spreading a long array into push() would overflow the stack.
    if (Array.isArray(value)) for (const item of value as readonly SqlJson[]) items.push(item);
    else items.push(value);
  }
  return items;
}
