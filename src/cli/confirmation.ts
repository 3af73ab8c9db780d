/** Asking before something that cannot be taken back. */
import { createInterface } from "node:readline/promises";
import { TidewireError } from "../base/mod.ts";
import type { Output } from "./output.ts";

interface Deed {
  /** "Retiring 'pump-7'". */
  readonly what: string;
  /** What is to be typed where somebody is asked. */
  readonly name: string;
  /** What will happen, a line each. */
  readonly means: readonly string[];
}

/** Tells what would happen, and asks where somebody can answer. Throws CONFIRMATION_MISSING. */
export async function confirm({ what, name, means }: Deed, output: Output): Promise<void> {
  output.note(`${what} means:`);
  for (const line of means) output.note(`  - ${line}`);
  const missing = new TidewireError("CONFIRMATION_MISSING", { what });
  // Who pipes something in has not read the question.
  if (!process.stdin.isTTY) throw missing;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    if ((await terminal.question("Type its name to go on: ")).trim() !== name) throw missing;
  } finally {
    terminal.close();
  }
}
