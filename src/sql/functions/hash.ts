import { encodeUtf8 } from "../../base/mod.ts";
import type { HashName } from "../input.ts";
import { toText } from "../value.ts";
import type { SqlFunction } from "./function.ts";

/** A hash of the text's UTF-8 bytes, in hexadecimal. The environment computes it; without one it is Undefined. */
export function hashFunction(name: HashName, example: string, secure: boolean): SqlFunction {
  const warning = secure ? "" : " Not for security: collisions are made at will.";
  return {
    name,
    group: "hash",
    signature: `${name}(text)`,
    summary: `The ${name.toUpperCase()} hash of the text in hexadecimal.${warning}`,
    examples: [
      [`${name}('hello')`, `"${example}"`],
      [`${name}(NULL)`, "Undefined"],
    ],
    argsMin: 1,
    argsMax: 1,
    pure: false,
    call([value], input) {
      const text = toText(value);
      if (text === undefined) return undefined;
      const hash = input.environment?.hash(name, encodeUtf8(text));
      return hash === undefined ? undefined : toHex(hash);
    },
  };
}

export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
