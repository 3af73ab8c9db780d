/** `tidewire agent`: the edge agent in the foreground. */
import { join } from "node:path";
import { Command } from "commander";
import type { Output } from "./output.ts";
import { stopSignal } from "./stop-signal.ts";

interface Options {
  readonly config: string;
  readonly broker?: string;
  readonly data?: string;
  readonly verbose?: boolean;
}

export function agentCommand(output: Output): Command {
  return new Command("agent")
    .description("run the edge agent of this device and stay in the foreground")
    .requiredOption("--config <file>", "agent.yaml, as `tidewire things add` writes it")
    .option("--broker <url>", "address of the platform, instead of the configuration's")
    .option("--data <folder>", "folder of the outbox, instead of the configuration's")
    .option("--verbose", "print the log to the terminal too")
    .action((options: Options) => run(options, output));
}

async function run(options: Options, output: Output): Promise<void> {
  const stop = stopSignal();
  const { openLogger } = await import("../adapters/logger.ts");
  const { loadAgentConfig, runAgent } = await import("../edge/mod.ts");
  const { broker, data } = options;
  const config = await loadAgentConfig(options.config, {
    ...(broker === undefined ? {} : { broker }),
    ...(data === undefined ? {} : { data }),
  });
  const file = join(config.data, "agent.log");
  const logger = openLogger({ level: "info", file, terminal: options.verbose === true });
  try {
    const agent = await runAgent(config, { logger });
    output.note(`Recording as ${config.thing}, reporting to ${config.broker.url}. Log: ${file}. Stop with Ctrl-C.`);
    await stop;
    await agent.stop();
  } finally {
    logger.close();
  }
}
