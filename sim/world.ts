/**
 * Simulated ports: a clock that moves only when told, timers that fire in order, randomness from a seed, a log and
 * metrics that can be looked at. Everything in a simulation comes from one seed, so a failing run replays exactly.
 */
import type {
  Cancel,
  Clock,
  Counter,
  Gauge,
  LogFields,
  Logger,
  MetricDefinition,
  Metrics,
  Random,
  Scheduler,
} from "../src/base/mod.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
  cancelled: boolean;
}

/** 2026-01-01T00:00:00Z: where simulated time starts unless told otherwise. */
export const SIM_EPOCH = 1_767_225_600_000;

export class SimClock implements Clock, Scheduler {
  #wall: number;
  #elapsed = 0;
  #order = 0;
  /** A binary heap: the earliest first. */
  readonly #timers: Timer[] = [];

  constructor(start: number = SIM_EPOCH) {
    this.#wall = start;
  }

  now(): number {
    return this.#wall + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  /** Moves the wall clock alone, as an operator or NTP does. */
  jump(delta: number): void {
    this.#wall += delta;
  }

  after(delay: number, task: () => void): Cancel {
    const timer: Timer = { at: this.#elapsed + Math.max(0, delay), order: this.#order++, task, cancelled: false };
    this.#insert(timer);
    return () => {
      timer.cancelled = true;
    };
  }

  every(period: number, task: () => void): Cancel {
    let cancel: Cancel = () => {};
    const again = (): void => {
      cancel = this.after(period, again);
      task();
    };
    cancel = this.after(period, again);
    return () => cancel();
  }

  defer(task: () => void): void {
    this.after(0, task);
  }

  /** The time of the next timer, or `null` when none waits. */
  next(): number | null {
    return this.#first()?.at ?? null;
  }

  /** Fires all timers due within `span`, in order, also those that they set; then time has moved by `span`. */
  advance(span: number): void {
    const end = this.#elapsed + span;
    while (this.step(end));
    this.#elapsed = end;
  }

  /** As `advance`, letting promises settle after each timer. */
  async run(span: number): Promise<void> {
    const end = this.#elapsed + span;
    await settle();
    while (this.step(end)) await settle();
    this.#elapsed = end;
    await settle();
  }

  /** Fires the next timer due by the monotonic time `end`; where there is none, time moves to `end` and it is false. */
  step(end: number): boolean {
    const due = this.#first();
    if (due === undefined || due.at > end) {
      this.#elapsed = Math.max(this.#elapsed, end);
      return false;
    }
    this.#removeFirst();
    this.#elapsed = Math.max(this.#elapsed, due.at);
    due.task();
    return true;
  }

  #first(): Timer | undefined {
    while (this.#timers[0]?.cancelled === true) this.#removeFirst();
    return this.#timers[0];
  }

  #insert(timer: Timer): void {
    const heap = this.#timers;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!earlier(timer, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = timer;
  }

  #removeFirst(): void {
    const heap = this.#timers;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && earlier(heap[below + 1]!, heap[below]!)) below++;
      if (!earlier(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}

/** What is called back does nothing any more once its process is dead. */
export function whileAlive(isAlive: () => boolean): (task: () => void) => () => void {
  return (task) => () => {
    if (isAlive()) task();
  };
}

/** The timers of one process. */
export function mortalScheduler(clock: Scheduler, isAlive: () => boolean): Scheduler {
  const living = whileAlive(isAlive);
  return {
    after: (delay, task) => clock.after(delay, living(task)),
    every: (period, task) => clock.every(period, living(task)),
    defer: (task) => clock.defer(living(task)),
  };
}

function earlier(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Lets every promise that can settle without a timer settle. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

/** Lets every promise settle that waits for no timer, however long the chain: the queue of microtasks is empty afterwards. */
export function drain(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A small, well-distributed generator (sfc32), good enough for simulation and nothing else. */
export class SimRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = (seed / 0x1_0000_0000) | 0;
    this.#c = 0x9e3779b9;
    for (let i = 0; i < 12; i++) this.#next32();
  }

  next(): number {
    return this.#next32() / 0x1_0000_0000;
  }

  /** An integer in [0, below). */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#next32() & 0xff);
  }

  #next32(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }
}

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
}

/** A log that keeps its lines for a test to look at. */
export class SimLogger implements Logger {
  readonly lines: LogLine[];
  readonly #fields: LogFields;

  constructor(lines: LogLine[] = [], fields: LogFields = {}) {
    this.lines = lines;
    this.#fields = fields;
  }

  debug(message: string, fields: LogFields = {}): void {
    this.#add("debug", message, fields);
  }
  info(message: string, fields: LogFields = {}): void {
    this.#add("info", message, fields);
  }
  warn(message: string, fields: LogFields = {}): void {
    this.#add("warn", message, fields);
  }
  error(message: string, fields: LogFields = {}): void {
    this.#add("error", message, fields);
  }
  child(fields: LogFields): Logger {
    return new SimLogger(this.lines, { ...this.#fields, ...fields });
  }

  #add(level: LogLine["level"], message: string, fields: LogFields): void {
    this.lines.push({ level, message, fields: { ...this.#fields, ...fields } });
  }
}

/** Metrics that a test reads back by name and labels. */
export class SimMetrics implements Metrics {
  readonly #values = new Map<string, { value: number }>();
  readonly #observed = new Map<string, () => number>();

  counter(definition: MetricDefinition): Counter {
    return this.#cell(definition);
  }

  gauge(definition: MetricDefinition): Gauge {
    return this.#cell(definition);
  }

  observe(definition: MetricDefinition, read: () => number): void {
    this.#observed.set(keyOf(definition.name, definition.labels), read);
  }

  /** The present value; throws where no such metric was defined, so a typo cannot pass a test. */
  value(name: string, labels?: Readonly<Record<string, string>>): number {
    const key = keyOf(name, labels);
    const cell = this.#values.get(key);
    const read = this.#observed.get(key);
    if (cell === undefined && read === undefined) throw new Error(`no metric ${key}`);
    return cell?.value ?? read!();
  }

  /** As `value`, for one that may not have been needed yet. */
  valueOr(otherwise: number, name: string, labels?: Readonly<Record<string, string>>): number {
    return this.#values.get(keyOf(name, labels))?.value ?? otherwise;
  }

  #cell(definition: MetricDefinition): { value: number } {
    const key = keyOf(definition.name, definition.labels);
    let cell = this.#values.get(key);
    if (cell === undefined) this.#values.set(key, (cell = { value: 0 }));
    return cell;
  }
}

function keyOf(name: string, labels: Readonly<Record<string, string>> = {}): string {
  const inner = Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}="${v}"`);
  return inner.length === 0 ? name : `${name}{${inner.join(",")}}`;
}
