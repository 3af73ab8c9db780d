/** Reads one YAML file. */
import { readFileSync, statSync } from "node:fs";
import type { Bytes } from "../base/mod.ts";
import { TidewireError, reasonOf } from "../base/mod.ts";
import { parseSimpleYaml } from "./simple-yaml.ts";

/** Throws CONFIG_FILE_UNREADABLE. */
export async function readYamlFile(file: string, bytesMax: Bytes): Promise<unknown> {
  try {
    if (statSync(file).size > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
    const text = readFileSync(file, "utf8");
    return parseSimpleYaml(text) ?? (await parseAnyYaml(text));
  } catch (error) {
    const reason = reasonOf(error).split("\n")[0]!.replace(/[.:]$/, "");
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file, reason }, { cause: error });
  }
}

async function parseAnyYaml(text: string): Promise<unknown> {
  const { parse } = await import("yaml");
  return parse(text) ?? {}; // an empty file is an empty configuration
}
