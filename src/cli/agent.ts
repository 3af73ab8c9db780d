/** `tidewire agent`: its help, and what to say where the command line is not plainly right. */
import { Command } from "commander";
import type { AgentOptions } from "./agent-options.ts";
import type { Output } from "./output.ts";

export function agentCommand(output: Output): Command {
  const agent = new Command("agent")
    .description("run the edge agent of this device and stay in the foreground")
    .option("--config <file>", "agent.yaml, as `tidewire things add` and `tidewire agent join` write it")
    .option("--broker <url>", "address of the platform, instead of the configuration's")
    .option("--renewal <url>", "https:// address where a new certificate is asked for, instead of the configuration's")
    .option("--data <folder>", "folder of the outbox, instead of the configuration's")
    .option("--verbose", "print the log to the terminal too")
    .action(async (options: Partial<AgentOptions>) => {
      if (!isComplete(options)) return agent.error("error: required option '--config <file>' not specified");
      const { runAgentCommand } = await import("./agent-run.ts");
      await runAgentCommand(options, output);
    });
  agent
    .command("join")
    .description(
      "make this machine a device of a platform: one line, with the code that `tidewire things invite` prints",
    )
    .argument("<url>", "the platform's HTTPS address, e.g. https://tide.example:8443")
    .argument("<code>", "the join code: 24 letters and digits; case and hyphens do not matter")
    .option("--out <folder>", "folder to write (default: the thing's name)")
    .action(async (url: string, code: string, options: { readonly out?: string }) => {
      const { runJoin } = await import("./agent-join.ts");
      await runJoin({ url, code, out: options.out }, output, "tidewire agent");
    });
  return agent;
}

function isComplete(options: Partial<AgentOptions>): options is AgentOptions {
  return options.config !== undefined;
}
