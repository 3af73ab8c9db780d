import { isObject, member } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const lookupFunction: SqlFunction = {
  name: "lookup",
  group: "external",
  signature: "lookup(table, key[, column])",
  summary:
    "Tidewire: the row of a configured table whose key column is key, or one column of it. Tables are files or PostgreSQL tables (`tables` of the configuration).",
  examples: [
    ["lookup('devices', clientid(), 'location')", '"roof"'],
    ["lookup('devices', clientid()).location", '"roof"'],
    ["lookup('devices', clientid(), 'none')", "Undefined"],
    ["lookup('devices', NULL)", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 3,
  pure: false,
  fixedArguments: [],
  call: () => undefined,
  external: {
    name: "lookup",
    request: ([table, key]) =>
      typeof table !== "string" || key === undefined || key === null ? null : { name: "lookup", table, key },
    answer(row, args) {
      if (args.length < 3) return row;
      const [, , column] = args;
      return typeof column === "string" && isObject(row) ? member(row, column) : undefined;
    },
  },
};
