/**
 * `tidewire`: runs one command, explains what went wrong. What a command needs is loaded when it runs; the agent of a
 * small device does not even carry the parser of the other commands (docs/decisions/0003-the-agent-is-small.md).
 */
import { ERROR_CATALOGUE } from "../base/mod.ts";
import { agentOptionsOf } from "./agent-options.ts";
import { explain, terminal } from "./output.ts";
import type { Output } from "./output.ts";

export { tolerateLostReaders } from "./output.ts";

/** Exit status of a mistake of ours. */
export const EXIT_BUG = ERROR_CATALOGUE.INTERNAL.exit;
/** Exit status of a wrong command line. */
const EXIT_USAGE = 2;

/** Returns the exit status. */
export async function main(args: readonly string[], output: Output = terminal): Promise<number> {
  try {
    const agentOptions = args[0] === "agent" ? agentOptionsOf(args.slice(1)) : null;
    if (agentOptions !== null) {
      const { runAgentCommand } = await import("./agent-run.ts");
      await runAgentCommand(agentOptions, output);
      return 0;
    }
    return await runProgram(args, output);
  } catch (error) {
    return explain(error, output);
  }
}

async function runProgram(args: readonly string[], output: Output): Promise<number> {
  const { CommanderError } = await import("commander");
  const { program } = await import("./program.ts");
  try {
    const root = await program(output, args[0]);
    await root.parseAsync(args, { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    throw error;
  }
}
