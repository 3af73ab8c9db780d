/** `node agent-process.fixture.ts AGENT.YAML`: a real agent as a process, its log as JSON lines on standard error. */
import type { LogFields, Logger } from "../base/mod.ts";
import { isTidewireError } from "../base/mod.ts";
import { loadAgentConfig, runAgent } from "./mod.ts";

function loggerWith(common: LogFields): Logger {
  const line =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      process.stderr.write(`${JSON.stringify({ level, message, ...common, ...fields })}\n`);
    };
  return {
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    child: (fields) => loggerWith({ ...common, ...fields }),
  };
}

const logger = loggerWith({});
try {
  const agent = await runAgent(await loadAgentConfig(process.argv[2]!), { logger });
  process.once("SIGTERM", () => void agent.stop());
  process.on("SIGUSR2", () => logger.info("status", { ...agent.status() }));
} catch (error) {
  logger.error(String(error), { code: isTidewireError(error) ? error.code : "?" });
  process.exitCode = isTidewireError(error) ? (error.entry.exit ?? 1) : 1;
}
