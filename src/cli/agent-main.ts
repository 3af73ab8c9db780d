/** Entry of the agent alone, from which `npm run bundle:agent` makes the one file that a small device gets. */
import { agentOptionsOf } from "./agent-options.ts";
import { runAgentCommand } from "./agent-run.ts";
import { explain, terminal } from "./output.ts";

const USAGE =
  "usage: node agent.mjs --config agent.yaml [--broker mqtts://host:port] [--renewal https://host:port] [--data folder] [--verbose]";
const EXIT_USAGE = 2;

const options = agentOptionsOf(process.argv.slice(2));
if (options === null) {
  terminal.note(USAGE);
  process.exitCode = EXIT_USAGE;
} else {
  try {
    await runAgentCommand(options, terminal);
  } catch (error) {
    process.exitCode = explain(error, terminal);
  }
}
