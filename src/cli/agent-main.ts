/** Entry of the agent alone, from which `npm run bundle:agent` makes the one file that a small device gets. */
import { joinArgumentsOf, runJoin } from "./agent-join.ts";
import { agentOptionsOf } from "./agent-options.ts";
import { runAgentCommand } from "./agent-run.ts";
import { explain, terminal } from "./output.ts";

const USAGE = `usage: node agent.mjs --config agent.yaml [--broker mqtts://host:port] [--renewal https://host:port] [--data folder] [--verbose]
       node agent.mjs join https://HOST:8443 CODE [--out folder]   (\`tidewire things invite NAME\` makes the code)`;
const EXIT_USAGE = 2;

const given = process.argv.slice(2);
const invitation = joinArgumentsOf(given);
const options = agentOptionsOf(given);
if (invitation !== null) {
  try {
    await runJoin(invitation, terminal, "node agent.mjs");
  } catch (error) {
    process.exitCode = explain(error, terminal);
  }
} else if (options === null) {
  terminal.note(USAGE);
  process.exitCode = EXIT_USAGE;
} else {
  try {
    await runAgentCommand(options, terminal);
  } catch (error) {
    process.exitCode = explain(error, terminal);
  }
}
