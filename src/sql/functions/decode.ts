import { LIMITS, parseJson } from "../../base/mod.ts";
import { fromBase64 } from "../base64.ts";
import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

export const decodeFunction: SqlFunction = {
  name: "decode",
  group: "encoding",
  since: "2016-03-23",
  signature: "decode(text, 'base64')",
  summary: "The text that was encoded; an object or array where it is JSON. Null where it cannot be decoded.",
  examples: [
    ["decode('aGk=', 'base64')", '"hi"'],
    ["decode('eyJ0IjozM30=', 'base64')", '{"t":33}'],
    ["decode('%', 'base64')", "null"],
    ["decode('aGk=', 'hex')", "Undefined"],
  ],
  argsMin: 2,
  argsMax: 2,
  pure: true,
  call([value, scheme]) {
    const text = toText(value);
    if (text === undefined || scheme !== "base64") return undefined;
    const bytes = fromBase64(text);
    if (bytes === null) return null;
    const json = parseJson(bytes, LIMITS.rules);
    if (json.ok && typeof json.value === "object") return json.value;
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      return null;
    }
  },
};
