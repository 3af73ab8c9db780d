/** `tidewire agent`: its help, and what to say where the command line is not plainly right. */
import { Command } from "commander";
import type { AgentOptions } from "./agent-options.ts";
import type { Output } from "./output.ts";

export function agentCommand(output: Output): Command {
  return new Command("agent")
    .description("run the edge agent of this device and stay in the foreground")
    .requiredOption("--config <file>", "agent.yaml, as `tidewire things add` writes it")
    .option("--broker <url>", "address of the platform, instead of the configuration's")
    .option("--renewal <url>", "https:// address where a new certificate is asked for, instead of the configuration's")
    .option("--data <folder>", "folder of the outbox, instead of the configuration's")
    .option("--verbose", "print the log to the terminal too")
    .action(async (options: AgentOptions) => {
      const { runAgentCommand } = await import("./agent-run.ts");
      await runAgentCommand(options, output);
    });
}
