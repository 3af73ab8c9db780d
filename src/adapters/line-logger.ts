/**
 * A structured log as JSON lines, without a library: for the agent, which has no memory to spare (pino costs 9 MB). Keys
 * that may hold a secret are blanked, as `logger.ts` does.
 */
import type { Clock, LogFields, Logger } from "../base/mod.ts";

export type LineLevel = "debug" | "info" | "warn" | "error";

export interface LineLoggerOptions {
  readonly level: LineLevel;
  readonly clock: Clock;
  /** Takes one line with its line feed. */
  readonly write: (line: string) => void;
}

const LEVELS: readonly LineLevel[] = ["debug", "info", "warn", "error"];
const SECRET = new Set(["token", "password", "secret", "privateKey", "authorization", "cookie"]);

export function lineLogger(options: LineLoggerOptions, common: LogFields = {}): Logger {
  const from = LEVELS.indexOf(options.level);
  const at =
    (level: LineLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (LEVELS.indexOf(level) < from) return;
      const time = new Date(options.clock.now()).toISOString();
      options.write(`${JSON.stringify({ level, time, message, ...common, ...fields }, blankSecrets)}\n`);
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => lineLogger(options, { ...common, ...fields }),
  };
}

function blankSecrets(key: string, value: unknown): unknown {
  if (SECRET.has(key)) return "[redacted]";
  if (value instanceof Error) return value.message;
  return typeof value === "bigint" ? String(value) : value;
}
