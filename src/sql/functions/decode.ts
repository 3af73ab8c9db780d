import { LIMITS, reasonOf } from "../../base/mod.ts";
import { fromBase64 } from "../base64.ts";
import type { SqlInput } from "../input.ts";
import { parsePayload } from "../number.ts";
import { toText } from "../value.ts";
import type { SqlValue } from "../value.ts";
import type { SqlFunction } from "./function.ts";
import { schemeFault } from "./scheme.ts";

export const decodeFunction: SqlFunction = {
  name: "decode",
  group: "encoding",
  since: "2016-03-23",
  signature: "decode(text, 'base64') or decode(text, 'proto', bucket, key, file, message)",
  summary:
    "What was encoded: an object or array where it is JSON, else text; with 'proto', a protobuf message in base64 as an object. Null where it cannot be decoded.",
  examples: [
    ["decode('aGk=', 'base64')", '"hi"'],
    ["decode('eyJ0IjozM30=', 'base64')", '{"t":33}'],
    ["decode('eyAidGVtcGVyYXR1cmUiOiAzMyB9Cg==', 'base64').temperature", "33"],
    ["decode('%', 'base64')", "null"],
    ["decode(NULL, 'base64')", "Undefined"],
    ["decode('CAU=', 'proto', 'bucket', 'sensors.desc', 'sensors.proto', 'Reading').value", "5"],
  ],
  argsMin: 2,
  argsMax: 6,
  pure: false,
  fixedArguments: [1],
  check(args) {
    const fault = schemeFault(args, ["base64", "proto"]);
    if (fault !== null || args.length === 2 || args.length === 6) return fault;
    const reason = "a protobuf message is named by bucket, key, file and message";
    return { argument: 2, reason, hint: "Write decode(text, 'proto', bucket, key, file, message)." };
  },
  call([value, scheme, ...type], input) {
    const text = toText(value);
    if (text === undefined || (scheme !== "base64" && scheme !== "proto")) return undefined;
    const bytes = fromBase64(text);
    if (bytes === null) return null;
    return scheme === "proto" ? decodeProtobuf(bytes, type, input) : decodeText(bytes);
  },
};

function decodeText(bytes: Uint8Array): SqlValue {
  const { json } = parsePayload(bytes, LIMITS.rules);
  if (typeof json === "object") return json;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function decodeProtobuf(bytes: Uint8Array, type: readonly SqlValue[], input: SqlInput): SqlValue {
  const [bucket, key, file, message] = type;
  if (typeof bucket !== "string" || typeof key !== "string") return undefined;
  if (typeof file !== "string" || typeof message !== "string") return undefined;
  try {
    const value = input.environment?.decodeProtobuf?.(bytes, { bucket, key, file, message });
    if (value === undefined) input.note?.(`decode(): there is no descriptor of ${message} in ${bucket}/${key}`);
    return value;
  } catch (error) {
    input.note?.(`decode(): ${reasonOf(error)}`);
    return null;
  }
}
