/**
 * The ports that every room may need: time, randomness, timers, log and metrics.
 * Cores take them as arguments, so a whole system can run under a simulated clock.
 */
import type { EpochMs, Millis } from "./units.ts";

export interface Clock {
  /** Wall clock. May jump; never use it to measure a duration. */
  now(): EpochMs;
  /** Monotonic clock with an arbitrary origin, for durations. */
  monotonic(): Millis;
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Unpredictable bytes; identifiers and secrets come from here. */
  bytes(length: number): Uint8Array;
}

/** Stops what it was returned for. Calling it twice is harmless. */
export type Cancel = () => void;

export interface Scheduler {
  /** Calls `task` once after `delay`. */
  after(delay: Millis, task: () => void): Cancel;
  /** Calls `task` every `period`, first after one period. */
  every(period: Millis, task: () => void): Cancel;
  /** Calls `task` at the end of this turn of the event loop, after the input that is ready now has been read. */
  defer(task: () => void): void;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** Structured log. Messages are constant sentences; what varies goes into fields. Secrets go nowhere. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

/** A number that only grows. The hot path increments `value` directly; the adapter reads it when scraped. */
export interface Counter {
  value: number;
}

/** A number that goes up and down. */
export interface Gauge {
  value: number;
}

export interface MetricDefinition {
  /** Prometheus name: `tidewire_` prefix, base unit, `_total` on counters. */
  readonly name: string;
  readonly help: string;
  /** Constant labels; one Counter per combination, made once. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Metrics {
  counter(definition: MetricDefinition): Counter;
  gauge(definition: MetricDefinition): Gauge;
  /** A gauge whose value is asked for when the metrics are read. */
  observe(definition: MetricDefinition, read: () => number): void;
}
