/** Structured JSON log on pino: to a file that rotates by size, and to the terminal when asked. */
import { closeSync, mkdirSync, openSync, renameSync, rmSync, fstatSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import pino from "pino";
import type { Bytes, LogFields, Logger } from "../base/mod.ts";
import { mib } from "../base/mod.ts";

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

/** Keys whose values never reach a log, however deep a careless caller puts them. */
const SECRET = /token|password|secret|private_?key|session_?key|authorization|cookie/i;
const DEPTH_MAX = 6;

export function openLogger(options: LoggerOptions): LoggerHandle {
  const streams: pino.StreamEntry[] = [];
  const file = options.file === undefined ? null : new RotatingFile(options.file, options);
  if (file !== null) streams.push({ level: options.level, stream: file });
  if (options.terminal) streams.push({ level: options.level, stream: { write: printReadable } });
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: (fields) => redact(fields, 0) },
      messageKey: "message",
    },
    pino.multistream(streams),
  );
  return Object.assign(wrap(root), { close: () => file?.close() });
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

function wrap(log: pino.Logger): Logger {
  return {
    debug: (message, fields) => log.debug(fields ?? {}, message),
    info: (message, fields) => log.info(fields ?? {}, message),
    warn: (message, fields) => log.warn(fields ?? {}, message),
    error: (message, fields) => log.error(fields ?? {}, message),
    child: (fields: LogFields) => wrap(log.child(redact(fields, 0))),
  };
}

/**
 * Synchronous appends: the log is a few lines a second (floods are rate-limited where they start), and the lines before
 * a crash are the ones that matter.
 */
class RotatingFile {
  readonly #path: string;
  readonly #bytesMax: number;
  readonly #filesMax: number;
  #descriptor: number | null;
  #size: number;

  constructor(path: string, options: LoggerOptions) {
    this.#path = path;
    this.#bytesMax = options.fileBytesMax ?? mib(10);
    this.#filesMax = options.filesMax ?? 4;
    mkdirSync(dirname(path), { recursive: true });
    const descriptor = openSync(path, "a", 0o600);
    this.#descriptor = descriptor;
    this.#size = fstatSync(descriptor).size;
  }

  write(line: string): void {
    if (this.#descriptor === null) return;
    try {
      if (this.#size > this.#bytesMax) this.#rotate();
    } catch {
      // Better a file that grows than a log that ends.
    }
    try {
      this.#size += writeSync(this.#descriptor, line);
    } catch {
      // A full disk must not take the platform along; the log port reports that condition itself.
    }
  }

  /** A line that comes later goes nowhere: the descriptor's number may be another file's by then. */
  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  /** Throws where the disk refuses; then the old file is written on, and the next line tries again. */
  #rotate(): void {
    rmSync(`${this.#path}.${this.#filesMax}`, { force: true });
    for (let n = this.#filesMax - 1; n >= 1; n--) renameIfThere(`${this.#path}.${n}`, `${this.#path}.${n + 1}`);
    renameIfThere(this.#path, `${this.#path}.1`);
    const old = this.#descriptor!;
    this.#descriptor = openSync(this.#path, "a", 0o600);
    this.#size = 0;
    closeSync(old);
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function printReadable(line: string): void {
  const { time, level, message, ...fields } = JSON.parse(line) as Record<string, string>;
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  process.stderr.write(
    `${time?.slice(11, 23)} ${level?.padEnd(5)} ${message}${rest.length > 0 ? "  " : ""}${rest.join(" ")}\n`,
  );
}
