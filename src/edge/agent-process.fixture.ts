/** `node agent-process.fixture.ts AGENT.YAML`: a real agent as a process, its log as JSON lines on standard error. */
import { lineLogger } from "../adapters/logger.ts";
import { systemClock } from "../adapters/system.ts";
import { isTidewireError } from "../base/mod.ts";
import { loadAgentConfig, runAgent } from "./mod.ts";

const logger = lineLogger({ level: "debug", clock: systemClock, write: (line) => process.stderr.write(line) });
try {
  const agent = await runAgent(await loadAgentConfig(process.argv[2]!), { logger });
  process.once("SIGTERM", () => void agent.stop());
} catch (error) {
  logger.error(String(error), { code: isTidewireError(error) ? error.code : "?" });
  process.exitCode = isTidewireError(error) ? (error.entry.exit ?? 1) : 1;
}
