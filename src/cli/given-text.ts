/** Text of a file that is named on the command line; `-`: standard input. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { TidewireError, reasonOf } from "../base/mod.ts";

/** Throws CONFIG_FILE_UNREADABLE. */
export async function givenText(file: string): Promise<string> {
  try {
    // As a stream: a pipe that has nothing yet is no error.
    return file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  } catch (error) {
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file, reason: reasonOf(error) }, { cause: error });
  }
}
