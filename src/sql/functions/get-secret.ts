import { LIMITS, encodeUtf8, parseJson } from "../../base/mod.ts";
import { isObject, member } from "../value.ts";
import type { SqlJson } from "../value.ts";
import { literalText } from "./function.ts";
import type { SqlFunction } from "./function.ts";

const TYPES: readonly string[] = ["SecretString", "SecretBinary"];

/** A text that is a JSON object is that object. */
function parsed(value: SqlJson): SqlJson {
  if (typeof value !== "string") return value;
  const json = parseJson(encodeUtf8(value), LIMITS.rules);
  return json.ok && isObject(json.value) ? json.value : value;
}

export const getSecretFunction: SqlFunction = {
  name: "get_secret",
  group: "external",
  since: "2016-03-23",
  signature: "get_secret(name, type[, key], role)",
  summary:
    "A secret: its text (SecretString), the value of a key where that is a JSON object, or its bytes in base64 (SecretBinary). May be up to 15 minutes old.",
  examples: [
    ["get_secret('API_KEY', 'SecretString', 'API_KEY_VALUE', 'role')", '"s3cr3t"'],
    ["get_secret('API_KEY', 'SecretString', 'role').API_KEY_VALUE", '"s3cr3t"'],
    ["get_secret('API_KEY', 'SecretString', 'none', 'role')", "Undefined"],
    ["get_secret('API_KEY', 'SecretBinary', 'API_KEY_VALUE', 'role')", "Undefined"],
  ],
  argsMin: 3,
  argsMax: 4,
  pure: false,
  fixedArguments: [1, -1],
  check(args) {
    const type = literalText(args, 1);
    if (type === null || TYPES.includes(type)) return null;
    return { argument: 1, reason: "this is no type of secret", hint: `Types are ${TYPES.join(" and ")}.` };
  },
  call: () => undefined,
  external: {
    name: "get_secret",
    request(args) {
      const [secret, type] = args;
      const role = args.at(-1);
      if (typeof secret !== "string" || typeof role !== "string") return null;
      if (type !== "SecretString" && type !== "SecretBinary") return null;
      return { name: "get_secret", secret, type, role };
    },
    /** The port gives the secret's text, or its bytes in base64. */
    answer(value, args) {
      if (args.length < 4 || args[1] !== "SecretString") return args.length < 4 ? parsed(value) : undefined;
      const [, , key] = args;
      return typeof key === "string" ? member(parsed(value), key) : undefined;
    },
  },
};
