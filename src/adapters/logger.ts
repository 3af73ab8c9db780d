/** The structured log of every process: JSON lines to a rotating file, readable lines to the terminal when asked. */
import { dirname } from "node:path";
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { Bytes, Clock, LogFields, Logger } from "../base/mod.ts";
import { RotatingFile } from "./rotating-file.ts";
import { systemClock } from "./system.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Path of the log file; without it nothing is kept. */
  readonly file?: string;
  /** Also print readable lines to standard error. */
  readonly terminal: boolean;
  readonly fileBytesMax?: Bytes;
  /** Rotated files kept beside the live one: `name.1` is the newest. */
  readonly filesMax?: number;
}

export interface LoggerHandle extends Logger {
  close(): void;
}

/** Throws DATA_FOLDER_UNUSABLE. */
export function openLogger(options: LoggerOptions): LoggerHandle {
  const file = options.file === undefined ? null : openFile(options.file, options);
  const logger = lineLogger({
    level: options.level,
    clock: systemClock,
    write: (line) => {
      file?.write(line);
      if (options.terminal) process.stderr.write(readable(line));
    },
  });
  return Object.assign(logger, { close: () => file?.close() });
}

function openFile(path: string, options: LoggerOptions): RotatingFile {
  try {
    return new RotatingFile(path, options);
  } catch (error) {
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: dirname(path), reason: reasonOf(error) }, { cause: error });
  }
}

export interface LineLoggerOptions {
  readonly level: LogLevel;
  readonly clock: Clock;
  /** Takes one line with its line feed. */
  readonly write: (line: string) => void;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
/** Keys whose values never reach a log, however deep a careless caller puts them. */
const SECRET = /token|password|secret|private_?key|session_?key|authorization|cookie/i;
const DEPTH_MAX = 6;

/** One JSON object per line. No library: the agent has no memory to spare (docs/decisions/0003-the-agent-is-small.md). */
export function lineLogger(options: LineLoggerOptions, common: LogFields = {}): Logger {
  const from = LEVELS.indexOf(options.level);
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (LEVELS.indexOf(level) < from) return;
      const time = new Date(options.clock.now()).toISOString();
      options.write(`${JSON.stringify({ level, time, ...redact({ ...common, ...fields }, 0), message })}\n`);
    };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => lineLogger(options, { ...common, ...fields }),
  };
}

type Fields = Record<string, unknown>;

/** A copy that may be written; errors become plain values, which JSON would make `{}` of. */
function redact(fields: Fields, depth: number): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, SECRET.test(key) ? "[redacted]" : plain(value, depth + 1)]),
  );
}

function plain(value: unknown, depth: number): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (depth > DEPTH_MAX) return "[too deep]";
  if (value instanceof Error) {
    const { name, message, stack, cause } = value;
    const code = (value as { code?: unknown }).code;
    return redact({ name, message, code, stack, ...(cause === undefined ? {} : { cause }) }, depth);
  }
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  return redact(value as Fields, depth);
}

function readable(line: string): string {
  const { time, level, message, ...fields } = JSON.parse(line) as Record<string, string>;
  const rest = Object.entries(fields).map(([key, value]) => `  ${key}=${JSON.stringify(value)}`);
  return `${time?.slice(11, 23)} ${level?.padEnd(5)} ${message}${rest.join("")}\n`;
}
