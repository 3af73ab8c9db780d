import { setKey } from "../value.ts";
import type { SqlJson } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const getDynamodbFunction: SqlFunction = {
  name: "get_dynamodb",
  group: "external",
  since: "2016-03-23",
  signature: "get_dynamodb(table, key, value[, sortKey, sortValue], role)",
  summary: "A row of a table, by its key. Once per statement, and at most 8 KB.",
  examples: [
    ["get_dynamodb('devices', 'id', clientid(), 'role').location", '"roof"'],
    ["get_dynamodb('devices', 'id', NULL, 'role').location", "Undefined"],
  ],
  argsMin: 4,
  argsMax: 6,
  pure: false,
  fixedArguments: [-1],
  check: (args) =>
    args.length === 5
      ? { argument: 3, reason: "a sort key needs a name and a value", hint: "The role comes last." }
      : null,
  call: () => undefined,
  external: {
    name: "get_dynamodb",
    request(args) {
      if (args.length === 5) return null;
      const [table, name, value, sortName, sortValue] = args;
      const role = args.at(-1);
      if (typeof table !== "string" || typeof name !== "string" || typeof role !== "string") return null;
      if (value === undefined || value === null) return null;
      const key: Record<string, SqlJson> = {};
      setKey(key, name, value);
      if (args.length === 6) {
        if (typeof sortName !== "string" || sortValue === undefined) return null;
        setKey(key, sortName, sortValue);
      }
      return { name: "get_dynamodb", table, key, role };
    },
    answer: (value) => value,
  },
};
