/** Runs the edge agent in the foreground. */
import { join } from "node:path";
import { openLogger } from "../adapters/logger.ts";
import { loadAgentConfig, runAgent } from "../edge/mod.ts";
import type { AgentOptions } from "./agent-options.ts";
import type { Output } from "./output.ts";
import { stopSignal } from "./stop-signal.ts";

export async function runAgentCommand(options: AgentOptions, output: Output): Promise<void> {
  const { broker, renewal, data } = options;
  const config = await loadAgentConfig(options.config, {
    ...(broker === undefined ? {} : { broker }),
    ...(renewal === undefined ? {} : { renewal }),
    ...(data === undefined ? {} : { data }),
  });
  const file = join(config.data, "agent.log");
  const logger = openLogger({ level: "info", file, terminal: options.verbose === true });
  try {
    const agent = await runAgent(config, { logger });
    output.note(`Recording as ${config.thing}, reporting to ${config.broker.url}. Log: ${file}. Stop with Ctrl-C.`);
    await stopSignal();
    await agent.stop();
  } finally {
    logger.close();
  }
}
