/** Reads one YAML file. The parser is loaded for the moment of reading only where it is needed at all. */
import { readFileSync, statSync } from "node:fs";
import type { Bytes } from "../base/mod.ts";
import { TidewireError, reasonOf } from "../base/mod.ts";

/** Throws CONFIG_FILE_UNREADABLE. */
export async function readYamlFile(file: string, bytesMax: Bytes): Promise<unknown> {
  try {
    if (statSync(file).size > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
    const text = readFileSync(file, "utf8");
    const { parse } = await import("yaml");
    // An empty file is an empty configuration.
    return parse(text) ?? {};
  } catch (error) {
    const reason = reasonOf(error).split("\n")[0]!.replace(/[.:]$/, "");
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file, reason }, { cause: error });
  }
}
