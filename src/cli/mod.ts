/**
 * `tidewire`: builds the commands, runs one, explains what went wrong. What a command needs is loaded when it runs: an
 * agent on a small device must not carry the platform in memory.
 */
import { Command, CommanderError } from "commander";
import { VERSION } from "../adapters/version.ts";
import { ERROR_CATALOGUE } from "../base/mod.ts";
import { agentCommand } from "./agent.ts";
import { logCommand } from "./log.ts";
import { loginLinkCommand } from "./login-link.ts";
import { explain, terminal } from "./output.ts";
import type { Output } from "./output.ts";
import { rulesCommand } from "./rules.ts";
import { thingsCommand } from "./things.ts";
import { upCommand } from "./up.ts";

export { tolerateLostReaders } from "./output.ts";

/** Exit status of a mistake of ours. */
export const EXIT_BUG = ERROR_CATALOGUE.INTERNAL.exit;
/** Exit status of a wrong command line. */
const EXIT_USAGE = 2;

/** Returns the exit status. */
export async function main(args: readonly string[], output: Output = terminal): Promise<number> {
  const program = new Command("tidewire")
    .description(
      "Open IoT core and edge runtime: broker, identity, rules, storage, alerts, dashboard and edge agent in one program.",
    )
    .version(VERSION)
    .showHelpAfterError("(`tidewire --help` lists the commands)")
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeErr: (text) => output.note(text.trimEnd()) })
    .addHelpText(
      "after",
      "\nStart here:\n  tidewire up                              the platform; prints the dashboard's address\n  tidewire things add pump-7 --out pump-7  a device with its own key and certificate\n  tidewire agent --config pump-7/agent.yaml",
    );
  for (const command of [
    upCommand(output),
    agentCommand(output),
    thingsCommand(output),
    rulesCommand(output),
    loginLinkCommand(output),
    logCommand(output),
  ]) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    return explain(error, output);
  }
}
