/** All commands of `tidewire`. */
import { Command } from "commander";
import { VERSION } from "../adapters/version.ts";
import { TidewireError } from "../base/mod.ts";
import { commandsFor } from "./commands.ts";
import { showExamples } from "./examples.ts";
import { HELP_WORDS, TIMES_HELP } from "./help-words.ts";
import type { Output } from "./output.ts";

const DESCRIPTION =
  "Open IoT core and edge runtime: broker, identity, rules, storage, alerts, dashboard and edge agent in one program.";

const START_HERE = `
Start here:
  tidewire up                              the platform; prints the dashboard's address
  tidewire things add pump-7 --out pump-7  a device with its own key and certificate
  tidewire agent --config pump-7/agent.yaml
  tidewire sub 'telemetry/#'               what comes in, as it comes
  tidewire pub telemetry/pump-7/oven '{"t": 21.5}' --device pump-7
${TIMES_HELP}`;

/** `name`: the first word of the command line. Its command is loaded; all are, where it is none. */
export async function program(output: Output, name: string | undefined): Promise<Command> {
  const root = new Command("tidewire")
    .description(DESCRIPTION)
    .version(VERSION)
    .showSuggestionAfterError()
    .enablePositionalOptions() // the `--json` of `backup list --json` is list's
    .configureHelp(HELP_WORDS)
    .configureOutput({
      writeErr: (text) => output.note(text.trimEnd()),
      outputError: () => {}, // told by whoever catches it
    })
    .addHelpText("after", START_HERE);
  for (const make of await commandsFor(name)) root.addCommand(make(output));
  for (const command of root.commands) inherit(command, root);
  explainUse(root, "");
  return root;
}

/** Commands of commands too: a wrong option of any of them is a usage error like every other. */
function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
}

/** Examples in its help; of a mistake, where that is. */
function explainUse(command: Command, path: string): void {
  showExamples(command, path);
  command.exitOverride((end) => {
    if (end.exitCode === 0 || end.code === "commander.help") throw end;
    const reason = end.message.replace(/^error: /, "").replaceAll("\n", " ");
    throw new TidewireError("COMMAND_LINE_INVALID", {
      reason: `${reason.charAt(0).toUpperCase()}${reason.slice(1)}`,
      command: `tidewire ${path}`.trim(),
    });
  });
  for (const child of command.commands) explainUse(child, `${path} ${child.name()}`.trim());
}
