import { literalText } from "./function.ts";
import type { SqlFunction } from "./function.ts";

const APIS: readonly string[] = ["DescribeThing", "ListThingGroupsForThing"];

export const getRegistryDataFunction: SqlFunction = {
  name: "get_registry_data",
  group: "external",
  since: "2016-03-23",
  signature: "get_registry_data(api, thing, role)",
  summary: "What the registry says of a thing: the answer of DescribeThing or ListThingGroupsForThing.",
  examples: [
    ["get_registry_data('DescribeThing', 'pi-1', 'role').attributes.site", '"north"'],
    ["get_registry_data('DescribeThing', NULL, 'role')", "Undefined"],
  ],
  argsMin: 3,
  argsMax: 3,
  pure: false,
  fixedArguments: [0, -1],
  check(args) {
    const api = literalText(args, 0);
    if (api === null || APIS.includes(api)) return null;
    return {
      argument: 0,
      reason: `the registry has no '${api.slice(0, 40)}' here`,
      hint: `There are ${APIS.join(", ")}.`,
    };
  },
  call: () => undefined,
  external: {
    name: "get_registry_data",
    request: ([api, thing, role]) =>
      typeof api === "string" && typeof thing === "string" && typeof role === "string"
        ? { name: "get_registry_data", api, thing, role }
        : null,
    answer: (value) => value,
  },
};
