/** All commands of `tidewire`. */
import { Command } from "commander";
import { VERSION } from "../adapters/version.ts";
import { commandsFor } from "./commands.ts";
import type { Output } from "./output.ts";

const DESCRIPTION =
  "Open IoT core and edge runtime: broker, identity, rules, storage, alerts, dashboard and edge agent in one program.";

const START_HERE = `
Start here:
  tidewire up                              the platform; prints the dashboard's address
  tidewire things add pump-7 --out pump-7  a device with its own key and certificate
  tidewire agent --config pump-7/agent.yaml
  tidewire sub 'telemetry/#'               what comes in, as it comes
  tidewire pub telemetry/pump-7/oven '{"t": 21.5}' --device pump-7`;

/** `name`: the first word of the command line. Its command is loaded; all are, where it is none. */
export async function program(output: Output, name: string | undefined): Promise<Command> {
  const root = new Command("tidewire")
    .description(DESCRIPTION)
    .version(VERSION)
    .showHelpAfterError("(`tidewire --help` lists the commands)")
    .showSuggestionAfterError()
    .enablePositionalOptions() // the `--json` of `backup list --json` is list's
    .exitOverride()
    .configureOutput({ writeErr: (text) => output.note(text.trimEnd()) })
    .addHelpText("after", START_HERE);
  for (const make of await commandsFor(name)) root.addCommand(make(output));
  for (const command of root.commands) inherit(command, root);
  return root;
}

/** Commands of commands too: a wrong option of any of them is a usage error like every other. */
function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
}
