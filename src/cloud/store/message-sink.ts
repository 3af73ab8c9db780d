/** One message of the log → rows of the next commit. Synchronous, and nothing that a device sends makes it throw. */
import { parseJson, stampOf } from "../../base/mod.ts";
import type { Clock, ForgottenThings, Limits, Logger, Message } from "../../base/mod.ts";
import { PointBatch, pointsOf, sourceOf, subjectOf, typeOf } from "../../telemetry/mod.ts";
import type { Points, SequenceBook, SeriesBook } from "../../telemetry/mod.ts";
import type { DecodeRecord, FilterRecords, RuleInput, TelemetryRule, TelemetryRules } from "./ports.ts";

/** Since the process started. */
export interface SinkCounters {
  /** Messages that a telemetry rule wanted. */
  messages: number;
  points: number;
  /** Stamped messages that were stored before. */
  duplicates: number;
  /** Wanted, but not JSON, or JSON beyond the limits. */
  notJson: number;
  /** Fields that a limit left out or cut short. */
  fieldsDropped: number;
  /** Values whose series would have been one too many. */
  seriesRefused: number;
  /** Records that this version cannot read. */
  unreadable: number;
}

export interface SinkOptions {
  readonly filter: FilterRecords;
  readonly decode: DecodeRecord;
  readonly series: SeriesBook;
  readonly sequences: SequenceBook;
  /** Of these nothing is stored again. */
  readonly forgotten: Pick<ForgottenThings, "end" | "covers">;
  readonly limits: Pick<Limits, "telemetry" | "rules">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A complaint about the same thing is told at most so often. */
const TELL_PERIOD_MS = 60_000;
/** Complaints remembered; beyond, the oldest is forgotten and may be told again. */
const TOLD_MAX = 1_000;

export class MessageSink {
  readonly batch = new PointBatch();
  readonly counters: SinkCounters = {
    messages: 0,
    points: 0,
    duplicates: 0,
    notJson: 0,
    fieldsDropped: 0,
    seriesRefused: 0,
    unreadable: 0,
  };
  readonly #options: SinkOptions;
  readonly #told = new Map<string, number>();
  #rules: TelemetryRules | null = null;
  #mayWant: ReturnType<FilterRecords> = () => false;

  constructor(options: SinkOptions) {
    this.#options = options;
  }

  setRules(rules: TelemetryRules): void {
    this.#rules = rules;
    this.#mayWant = this.#options.filter((topic) => rules.route(topic).length > 0);
  }

  /** HOT: the record lies in `bytes[from, to)`. What no rule wants is not decoded. */
  take(offset: number, bytes: Uint8Array, from: number, to: number): void {
    if (this.#mayWant(bytes, from, to)) this.#decode(offset, bytes.subarray(from, to));
  }

  #decode(offset: number, bytes: Uint8Array): void {
    try {
      const message = this.#options.decode(bytes);
      const { forgotten } = this.#options;
      if (offset < forgotten.end && forgotten.covers(subjectOf(message), offset)) return;
      const routed = this.#rules?.route(message.topic) ?? [];
      if (routed.length === 0) return;
      const rules = routed.filter((rule) => rule.fromOffset <= offset);
      if (rules.length > 0) this.#wanted(offset, message, rules);
    } catch (error) {
      this.counters.unreadable++;
      this.#tell("unreadable", "A record of the log cannot be read and was skipped", { offset, error });
    }
  }

  #wanted(offset: number, message: Message, rules: readonly TelemetryRule[]): void {
    const stamp = stampOf(message.properties);
    if (stamp !== null && !this.#options.sequences.accept(sourceOf(message), stamp)) {
      this.counters.duplicates++;
      return;
    }
    this.counters.messages++;
    const input = new LazyInput(message, this.#options.limits.rules);
    if (input.json() === undefined) {
      this.counters.notJson++;
      const { topic, clientId } = message;
      const bytes = message.payload.length;
      const from = subjectOf(message);
      this.#tell(`json ${from}`, "A message is not JSON and was not stored", { topic, clientId, bytes, offset });
      return;
    }
    // One message gives a series one point, also where several rules name the same measurement.
    const taken = rules.length > 1 ? new Set<number>() : null;
    for (const rule of rules) this.#evaluate(rule, message, input, taken);
  }

  #evaluate(rule: TelemetryRule, message: Message, input: RuleInput, taken: Set<number> | null): void {
    const outcome = rule.evaluate(input);
    if (!outcome.matched || outcome.value instanceof Uint8Array) return;
    const { topic, receivedAt } = message;
    const thing = subjectOf(message);
    const context = { topic, thing, receivedAt };
    const { measurement } = rule;
    const named = measurement === undefined ? context : { ...context, measurement };
    const points = pointsOf(outcome.value, named, this.#options.limits.telemetry);
    if (points.dropped > 0) {
      this.counters.fieldsDropped += points.dropped;
      const told = { topic, dropped: points.dropped, rule: rule.ruleName };
      this.#tell(`fields ${thing}`, "A message has more, deeper or longer fields than are stored", told);
    }
    this.#add(thing, points, taken);
  }

  #add(thing: string, points: Points, taken: Set<number> | null): void {
    const { series } = this.#options;
    const measurement = series.measurement(thing, points.measurement);
    let refused = 0;
    for (let i = 0; i < points.names.length; i++) {
      const value = points.values[i]!;
      const id = series.resolve(measurement, points.names[i]!, typeOf(value));
      if (id < 0) refused++;
      else if (taken === null || !taken.has(id)) {
        taken?.add(id);
        if (typeof value === "string") this.batch.addText(id, points.time, value);
        else this.batch.add(id, points.time, Number(value));
        this.counters.points++;
      }
    }
    if (refused === 0) return;
    this.counters.seriesRefused += refused;
    this.#tell(`series ${thing}`, "A thing has more series than are stored", { thing, refused });
  }

  #tell(about: string, message: string, fields: Readonly<Record<string, unknown>>): void {
    const now = this.#options.clock.monotonic();
    const last = this.#told.get(about);
    if (last !== undefined && now - last < TELL_PERIOD_MS) return;
    this.#told.delete(about);
    this.#told.set(about, now);
    if (this.#told.size > TOLD_MAX) this.#told.delete(this.#told.keys().next().value!);
    this.#options.logger.warn(message, fields);
  }
}

/** The payload is parsed once, when the first rule asks. */
class LazyInput implements RuleInput {
  readonly topic: string;
  readonly clientId: string;
  readonly receivedAt: number;
  readonly payload: Uint8Array;
  readonly #limits: Limits["rules"];
  #parsed: ReturnType<typeof parseJson> | null = null;

  constructor(message: Message, limits: Limits["rules"]) {
    this.topic = message.topic;
    this.clientId = message.clientId;
    this.receivedAt = message.receivedAt;
    this.payload = message.payload;
    this.#limits = limits;
  }

  json(): ReturnType<RuleInput["json"]> {
    this.#parsed ??= parseJson(this.payload, this.#limits);
    return this.#parsed.ok ? this.#parsed.value : undefined;
  }
}
