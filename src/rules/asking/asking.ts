/**
 * Rules that ask something of the world for their messages: shadows, registry, secrets, tables, functions. A message waits for
 * its answers in its rule's line (`line.ts`), and nobody else waits for it. Nothing accepted is lost: where a line is full, its
 * rule reads the log again, at its own pace; from where is saved with the checkpoint and outlives a crash.
 */
import { LIMITS } from "../../base/mod.ts";
import type {
  Cancel,
  Counter,
  JsonValue,
  Limits,
  Logger,
  Message,
  Metrics,
  Millis,
  Scheduler,
} from "../../base/mod.ts";
import { EXTERNAL_LIMITS } from "../../sql/mod.ts";
import type { ExternalRequest, SqlEnvironment } from "../../sql/mod.ts";
import type { Asking as MessageAsking, MessageInput } from "../input.ts";
import { Line } from "./line.ts";
import type { AskingRule, LinePorts } from "./line.ts";

export type { AskingRule } from "./line.ts";

/** Reads the log again for one rule. */
export interface LogReading {
  readonly from: number;
  wants(topic: string): boolean;
  /** One message that is wanted, in order; where it gives a promise, the next one waits for it, and the payload stays as it is. */
  take(offset: number, message: Message): Promise<void> | null;
  /** All below was given to `take`; where it gives a promise, what follows waits for it. */
  passed(next: number): Promise<void> | null;
}

export interface AskingPlace {
  /** It has taken all messages below, and none from there on. */
  readonly next: number;
  /** Messages that wait for answers. */
  readonly waiting: number;
  /** It reads the log again. */
  readonly isBehind: boolean;
}

export type ReadAgain = (reading: LogReading) => Cancel;

/** From where a rule is behind; null: it is not any more. */
export interface OwedMessages {
  readonly rule: string;
  readonly position: number | null;
}

export interface AskingOptions {
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly environment?: SqlEnvironment;
  readonly limits?: { readonly [K in keyof Limits["answers"]]: number };
  /** The next message that rules get by themselves. */
  readonly position: () => number;
  readonly wants: (ruleName: string, topic: string) => boolean;
  /** As the rule sees it. */
  readonly inputOf: (message: Message) => MessageInput;
  /** A message of the rule, with its answers. Must not throw. */
  readonly apply: (ruleName: string, offset: number, input: MessageInput) => void;
}

/** One of them; a line that is read again from elsewhere gets another. */
interface Reader {
  cancel: Cancel;
}

type Outcome = "answered" | "nothing" | "failed" | "late";

export class AskingRules {
  readonly #o: AskingOptions;
  readonly #limits: { readonly [K in keyof Limits["answers"]]: number };
  readonly #ports: LinePorts;
  /** Bounded by the rules. */
  readonly #lines = new Map<string, Line>();
  /** Those that wait for a reader, and those that have one. Bounded by the lines. */
  readonly #behind = new Set<Line>();
  readonly #readers = new Map<Line, Reader>();
  #readAgain: ReadAgain | null = null;
  /** Read at the start, for rules that are not put yet. */
  readonly #loaded = new Map<string, number>();
  /** As it is on disk. */
  readonly #saved = new Map<string, number>();
  /** Oldest message that was done with since the last save. */
  #unsavedFrom: number | null = null;
  #closed = false;
  #waiting = 0;
  #bytes = 0;
  /** Bounded by functions times outcomes. */
  readonly #counters = new Map<string, Counter>();
  readonly #skipped: Counter;
  readonly #fell: Counter;

  constructor(options: AskingOptions) {
    this.#o = options;
    this.#limits = options.limits ?? LIMITS.answers;
    const { waitingPerRuleMax, inflightPerRuleMax, waitingMax, waitingBytesMax } = this.#limits;
    this.#ports = {
      waitingPerRuleMax,
      inflightPerRuleMax,
      isOpen: () => this.#readAgain !== null,
      isOver: () => this.#closed,
      hasRoom: (bytes) => this.#waiting < waitingMax && this.#bytes + bytes <= waitingBytesMax,
      kept: (bytes) => {
        this.#waiting += Math.sign(bytes);
        this.#bytes += bytes;
      },
      asking: (line) => this.#askingOf(line),
      apply: (line, offset, input) => {
        this.#unsavedFrom = Math.min(this.#unsavedFrom ?? offset, offset);
        this.#o.apply(line.rule.ruleName, offset, input);
      },
      fellBehind: (line) => this.#fellBehind(line),
    };
    const { metrics } = options;
    this.#skipped = metrics.counter({
      name: "tidewire_rule_asks_skipped_total",
      help: "Messages of the log that rules skipped because they were too far behind with asking",
    });
    this.#fell = metrics.counter({
      name: "tidewire_rule_asks_behind_total",
      help: "Times that a rule had so many messages waiting for answers that it reads the log again",
    });
    const waiting = { name: "tidewire_rule_asks_waiting", help: "Messages that wait for answers to what a rule asks" };
    metrics.observe(waiting, () => this.#waiting);
    const behind = { name: "tidewire_rule_asks_behind", help: "Rules that read the log again to ask about it" };
    metrics.observe(behind, () => this.#behind.size + this.#readers.size);
  }

  /** Before any rule is put: what was saved. */
  start(owed: readonly OwedMessages[]): void {
    for (const { rule, position } of owed) {
      if (position === null) continue;
      this.#loaded.set(rule, position);
      this.#saved.set(rule, position);
    }
  }

  /** From now on there is somebody to ask, and the log can be read again. */
  follow(readAgain: ReadAgain): void {
    this.#readAgain = readAgain;
    this.#loaded.clear(); // a rule of that name that is put later is another one
    for (const line of this.#lines.values()) line.opened();
    this.#read();
  }

  /**
   * The rule's line; null where it asks nothing and owes nothing. A new one begins at `next`; what waits in the one that it has is
   * for the new version.
   */
  put(rule: AskingRule, next: number): Line | null {
    const { ruleName, sql, templates } = rule;
    const present = this.#lines.get(ruleName);
    const owed = present === undefined ? this.#loaded.get(ruleName) : (present.oldest ?? undefined);
    if (owed === undefined && sql.externals.length === 0 && templates === null) {
      this.delete(ruleName);
      return null;
    }
    if (present !== undefined) {
      this.#stopReading(present);
      present.reset(rule);
      if (present.readFrom !== null) this.#queueForReading(present);
      return present;
    }
    this.#loaded.delete(ruleName);
    const line = new Line(this.#ports, rule, owed ?? next, owed !== undefined);
    this.#lines.set(ruleName, line);
    if (owed !== undefined) this.#queueForReading(line);
    return line;
  }

  /** The rule that is put next under this name reads the log again, from there on. */
  owe(ruleName: string, from: number): void {
    this.#loaded.set(ruleName, from);
  }

  /** How far the rule is; null where it asks nothing. */
  placeOf(ruleName: string): AskingPlace | null {
    const line = this.#lines.get(ruleName);
    if (line === undefined) return null;
    const { readFrom, isHeld, size } = line;
    const next = readFrom ?? Math.max(line.next, this.#o.position());
    return { next, waiting: size, isBehind: readFrom !== null && !isHeld };
  }

  /**
   * The rule takes nothing more, and what it has taken is answered: it is done when that is so, after `timeout`, or when the rule
   * is changed. Call `goOn` then. One that reads the log again does not stop.
   */
  async standStill(ruleName: string, timeout: Millis): Promise<void> {
    const line = this.#lines.get(ruleName);
    if (line === undefined || line.readFrom !== null) return;
    line.hold();
    const wait = { isOver: false };
    const cancel = this.#o.scheduler.after(timeout, () => {
      wait.isOver = true;
      line.wake();
    });
    while (line.isHeld && line.size > 0 && !wait.isOver && !this.#closed) await line.untilRoom();
    cancel();
  }

  /** After `standStill`: what came meanwhile is read from the log. */
  goOn(ruleName: string): void {
    const line = this.#lines.get(ruleName);
    if (line?.isHeld !== true) return;
    line.release();
    if (line.readFrom !== null) this.#queueForReading(line);
  }

  /** It does not run any more: what waits is nobody's. */
  delete(ruleName: string): void {
    const line = this.#lines.get(ruleName);
    this.#loaded.delete(ruleName);
    if (line === undefined) return;
    this.#stopReading(line);
    line.clear();
    this.#lines.delete(ruleName);
    this.#read();
  }

  /** Offset of the oldest message that the rule is not done with; null where it waits for nothing. */
  positionOf(ruleName: string): number | null {
    return this.#lines.get(ruleName)?.oldest ?? null;
  }

  /** What waits of a thing is not handed on. */
  forget(isOf: (input: MessageInput) => boolean): void {
    for (const line of this.#lines.values()) line.forget(isOf);
  }

  /** Nothing is asked and nobody is told any more. What is not done with stays owed: to be saved after it. */
  close(): void {
    this.#closed = true;
    this.#readAgain = null;
    for (const line of this.#readers.keys()) this.#stopReading(line);
    for (const line of this.#lines.values()) line.wake();
  }

  // ── saving ───────────────────────────────────────────────────────────────────────────────────

  /** The log is needed from here; null where nothing of it is. */
  oldest(): number | null {
    let oldest = this.#unsavedFrom ?? Infinity;
    for (const position of this.#saved.values()) oldest = Math.min(oldest, position);
    for (const line of this.#lines.values()) oldest = Math.min(oldest, line.oldest ?? Infinity);
    return oldest === Infinity ? null : oldest;
  }

  /** What is to be saved with a checkpoint that is at most `next`. */
  changes(next: number): OwedMessages[] {
    const changes: OwedMessages[] = [];
    for (const [rule, line] of this.#lines) {
      const { oldest } = line;
      const position = oldest === null || oldest >= next ? null : oldest;
      if (position !== (this.#saved.get(rule) ?? null)) changes.push({ rule, position });
    }
    for (const rule of this.#saved.keys()) if (!this.#lines.has(rule)) changes.push({ rule, position: null });
    return changes;
  }

  /** They are on disk. */
  saved(changes: readonly OwedMessages[]): void {
    this.#unsavedFrom = null;
    for (const { rule, position } of changes) {
      if (position === null) this.#saved.delete(rule);
      else this.#saved.set(rule, position);
    }
  }

  /** A rule that is too far behind goes on in the present. To be called now and then. */
  tidy(): void {
    const present = this.#o.position();
    for (const line of this.#lines.values()) {
      const behind = present - (line.oldest ?? present);
      if (behind <= this.#limits.behindMax) continue;
      this.#stopReading(line);
      line.skipTo(present);
      this.#skipped.value += behind;
      this.#o.logger.error("A rule asks more slowly than messages come; it goes on in the present", {
        rule: line.rule.ruleName,
        skipped: behind,
      });
      this.#read();
    }
  }

  // ── asking ───────────────────────────────────────────────────────────────────────────────────

  #askingOf(line: Line): MessageAsking {
    const asked = new Map<string, Promise<JsonValue | undefined>>();
    const environment: SqlEnvironment = {
      ...this.#o.environment!,
      external: (request) => {
        const key = keyOf(request);
        const known = key === null ? undefined : asked.get(key);
        if (known !== undefined) return known;
        const answer = this.#ask(request);
        if (key !== null) asked.set(key, answer);
        return answer;
      },
    };
    return { environment, answers: new Map(), note: (reason) => this.#noted(line, reason) };
  }

  #ask(request: ExternalRequest): Promise<JsonValue | undefined> {
    const { timeout } = EXTERNAL_LIMITS[request.name];
    const asked = this.#o.environment?.external?.(request) ?? Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      let cancel: Cancel | null = this.#o.scheduler.after(timeout, () => {
        cancel = null;
        this.#count(request, "late");
        reject(new Error(`there was no answer within ${timeout / 1000} s`));
      });
      const settle = (outcome: Outcome, end: () => void): void => {
        if (cancel === null) return; // too late: somebody went on without it
        cancel();
        cancel = null;
        this.#count(request, outcome);
        end();
      };
      asked.then(
        (value) => settle(value === undefined ? "nothing" : "answered", () => resolve(value)),
        (error: unknown) => settle("failed", () => reject(error)),
      );
    });
  }

  #count({ name }: ExternalRequest, outcome: Outcome): void {
    const key = `${name} ${outcome}`;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = this.#o.metrics.counter({
        name: "tidewire_rule_asks_total",
        help: "What rules asked of the world, by function and outcome",
        labels: { function: name, outcome },
      });
      this.#counters.set(key, counter);
    }
    counter.value++;
  }

  /** Told once per thousand: the metric has the number. */
  #noted(line: Line, reason: string): void {
    if (line.unanswered++ % 1000 > 0) return;
    this.#o.logger.warn("What a rule asked has no answer; it is Undefined", { rule: line.rule.ruleName, reason });
  }

  // ── reading again ────────────────────────────────────────────────────────────────────────────

  #fellBehind(line: Line): void {
    this.#fell.value++;
    this.#queueForReading(line);
  }

  #queueForReading(line: Line): void {
    this.#behind.add(line);
    this.#read();
  }

  #read(): void {
    if (this.#readAgain === null) return;
    for (const line of this.#behind) {
      if (this.#readers.size >= this.#limits.readersMax) return;
      this.#behind.delete(line);
      const reader: Reader = { cancel: () => {} };
      this.#readers.set(line, reader);
      reader.cancel = this.#readAgain(this.#readingOf(line, reader));
    }
  }

  #readingOf(line: Line, reader: Reader): LogReading {
    const { ruleName } = line.rule;
    const isCurrent = (): boolean => this.#readers.get(line) === reader;
    return {
      from: line.readFrom!,
      wants: (topic) => this.#o.wants(ruleName, topic),
      take: (offset, message) => {
        if (!isCurrent()) return null;
        const input = this.#o.inputOf(message);
        return line.take(offset, input) ? null : this.#takeLater(line, offset, input, isCurrent);
      },
      passed: (next) => {
        if (!isCurrent()) return null;
        line.readUpTo(next);
        return next < this.#o.position() ? null : this.#catchUp(line, next, isCurrent);
      },
    };
  }

  /** With a line that is nearly full it would be behind again at once. */
  async #catchUp(line: Line, next: number, isCurrent: () => boolean): Promise<void> {
    while (isCurrent() && line.size > this.#limits.waitingPerRuleMax / 2) await line.untilRoom();
    if (!isCurrent() || next < this.#o.position()) return;
    line.caughtUp();
    this.#stopReading(line);
    this.#read();
  }

  async #takeLater(line: Line, offset: number, input: MessageInput, isCurrent: () => boolean): Promise<void> {
    line.readUpTo(offset);
    do await line.untilRoom();
    while (isCurrent() && !line.take(offset, input));
  }

  #stopReading(line: Line): void {
    this.#behind.delete(line);
    const reader = this.#readers.get(line);
    this.#readers.delete(line);
    reader?.cancel();
    line.wake();
  }
}

/** The same for the same request; null where it is not worth it. */
export function keyOf(request: ExternalRequest): string | null {
  if ("payload" in request && request.payload instanceof Uint8Array) return null;
  return JSON.stringify(request);
}
