import type { SqlFunction } from "./function.ts";

export const getUserPropertiesFunction: SqlFunction = {
  name: "get_user_properties",
  group: "message",
  since: "2016-03-23",
  signature: "get_user_properties(key)",
  summary:
    "All values of a user property of an MQTT 5 message, in their order; Undefined where it has none of that name.",
  examples: [
    ["get_user_properties('site')", '["north","roof"]'],
    ["get_user_properties('none')", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: false,
  call([key], { properties }) {
    const values = (properties?.userProperties ?? []).flatMap(([name, value]) => (name === key ? [value] : []));
    return values.length === 0 ? undefined : values;
  },
};
