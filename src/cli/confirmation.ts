/** Asking before something that cannot be taken back. */
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { TidewireError } from "../base/mod.ts";
import type { Output } from "./output.ts";

export interface Deed {
  /** "Retiring 'pump-7'". */
  readonly what: string;
  /** What is to be typed where somebody is asked. */
  readonly name: string;
  /** What will happen, a line each. */
  readonly means: readonly string[];
}

export interface Confirmable {
  readonly yes?: boolean;
}

export function withConfirmation(command: Command): Command {
  return command.option("--yes", "do it without asking");
}

/** Without `--yes`, tells what would happen, and asks where somebody can answer; null: nothing is lost. Throws CONFIRMATION_MISSING. */
export async function confirm(
  options: Confirmable,
  find: () => Promise<Deed | null> | Deed | null,
  output: Output,
): Promise<void> {
  if (options.yes === true) return;
  const deed = await find();
  if (deed === null) return;
  const { what, name, means } = deed;
  output.note(`${what} means:`);
  for (const line of means) output.note(`  - ${line}`);
  const missing = new TidewireError("CONFIRMATION_MISSING", { what });
  // Who pipes something in has not read the question.
  if (!process.stdin.isTTY) throw missing;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    if ((await terminal.question(`Type '${name}' to go on: `)).trim() !== name) throw missing;
  } finally {
    terminal.close();
  }
}
