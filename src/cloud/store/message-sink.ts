/** One message of the log → rows of the next commit. Synchronous, and nothing that a device sends makes it throw. */
import { asRuleSees, stampOf } from "../../base/mod.ts";
import type { Clock, ForgottenThings, Limits, Logger, Message } from "../../base/mod.ts";
import { nodeSqlEnvironment } from "../../adapters/sql-environment.ts";
import { parsePayload } from "../../sql/mod.ts";
import type { ParsedPayload } from "../../sql/mod.ts";
import { PayloadTemplate, PointBatch, pointsOf, sourceOf, subjectOf, typeOf } from "../../telemetry/mod.ts";
import type { Points, SequenceBook, SeriesBook, SeriesEntry } from "../../telemetry/mod.ts";
import type { RecordAccess, RuleInput, TelemetryRule, TelemetryRules } from "./ports.ts";

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
  readonly records: RecordAccess;
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

/** Messages of one sender whose payloads differ in their values only. */
interface TopicShape {
  readonly sender: Uint8Array;
  readonly template: PayloadTemplate;
  /** One of its series: where the book has another one under that number, the thing was forgotten meanwhile. */
  readonly entry: SeriesEntry;
}

/** A topic whose messages differ more than that learns less and less often. */
const LEARN_EVERY_MAX = 4_096;

/** As many as the table of topics holds, each with a shape of about twice its payload. */
class KnownTopic {
  /** Those that want it; null where that is not known. */
  readonly rules: readonly TelemetryRule[] | null;
  readonly wanted: boolean;
  shape: TopicShape | null = null;
  #wait = 0;
  #every = 1;

  constructor(rules: readonly TelemetryRule[] | null) {
    this.rules = rules;
    this.wanted = rules === null || rules.length > 0;
  }

  /** Asked for each message that has no shape, or another one. */
  learnsNow(): boolean {
    if (--this.#wait > 0) return false;
    this.#wait = this.#every;
    this.#every = Math.min(this.#every * 2, LEARN_EVERY_MAX);
    return true;
  }
}

const NOT_WANTED = new KnownTopic([]);

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
  #topicOf: (bytes: Uint8Array, from: number, to: number) => KnownTopic = () => NOT_WANTED;

  constructor(options: SinkOptions) {
    this.#options = options;
  }

  setRules(rules: TelemetryRules): void {
    this.#rules = rules;
    this.#topicOf = this.#options.records.topics((topic) => new KnownTopic(rules.route(topic)), {
      note: NOT_WANTED,
      unreadable: new KnownTopic(null),
    });
  }

  /** Series have been retired: what was learnt of them is true no longer. */
  unlearn(): void {
    if (this.#rules !== null) this.setRules(this.#rules);
  }

  /** HOT: the record lies in `bytes[from, to)`. What no rule wants is not decoded, what is like the one before is not parsed. */
  take(offset: number, bytes: Uint8Array, from: number, to: number): void {
    const topic = this.#topicOf(bytes, from, to);
    const { shape } = topic;
    if (shape !== null && offset >= this.#options.forgotten.end && this.#isLike(shape, bytes, from, to)) return;
    if (topic.wanted) this.#decode(offset, bytes.subarray(from, to), topic);
  }

  /** HOT. Takes the record where it differs from its topic's shape in values only, else does nothing. */
  #isLike({ sender, template, entry }: TopicShape, bytes: Uint8Array, from: number, to: number): boolean {
    const { records, series, limits } = this.#options;
    if (series.entry(entry.id) !== entry) return false;
    const at = records.propertiesAt(bytes, from, to, sender);
    if (at < 0 || to - from > limits.rules.jsonBytesMax) return false;
    const receivedAt = records.writtenAt(bytes, from);
    if (bytes[at] === 0) {
      if (!template.read(bytes, at + 1, to, receivedAt)) return false;
    } else {
      const message = this.#readable(bytes.subarray(from, to));
      if (message === null || !template.read(message.payload, 0, message.payload.length, receivedAt)) return false;
      if (this.#seenBefore(message)) return true;
    }
    template.addTo(this.batch);
    this.counters.messages++;
    this.counters.points += template.count;
    return true;
  }

  #readable(bytes: Uint8Array): Message | null {
    try {
      return this.#options.records.decode(bytes);
    } catch {
      return null; // the long way tells why
    }
  }

  #seenBefore(message: Message): boolean {
    const stamp = stampOf(message.properties);
    if (stamp === null || this.#options.sequences.accept(sourceOf(message), stamp)) return false;
    this.counters.duplicates++;
    return true;
  }

  #decode(offset: number, bytes: Uint8Array, topic: KnownTopic): void {
    try {
      const received = this.#options.records.decode(bytes);
      const message = asRuleSees(received);
      const { forgotten } = this.#options;
      if (offset < forgotten.end && forgotten.covers(subjectOf(message), offset)) return;
      const routed = topic.rules ?? this.#rules?.route(received.topic) ?? [];
      if (routed.length === 0) return;
      const rules = routed.filter((rule) => rule.fromOffset <= offset);
      if (rules.length === 0) return;
      const points = this.#wanted(offset, message, rules);
      // A rule that is to see later messages only would be passed over.
      if (points !== null && routed.length === 1 && topic.learnsNow())
        topic.shape = this.#shapeOf(bytes, message, points);
    } catch (error) {
      this.counters.unreadable++;
      this.#tell("unreadable", "A record of the log cannot be read and was skipped", { offset, error });
    }
  }

  /** Of the last rule the points, where it took the message as it is and everything was stored; else null. */
  #wanted(offset: number, message: Message, rules: readonly TelemetryRule[]): Points | null {
    if (this.#seenBefore(message)) return null;
    this.counters.messages++;
    const input = new LazyInput(message, this.#options.limits.rules);
    if (input.json() === undefined) {
      this.counters.notJson++;
      const { topic, clientId } = message;
      const bytes = message.payload.length;
      const from = subjectOf(message);
      this.#tell(`json ${from}`, "A message is not JSON and was not stored", { topic, clientId, bytes, offset });
      return null;
    }
    // One message gives a series one point, also where several rules name the same measurement.
    const taken = rules.length > 1 ? new Set<number>() : null;
    let points: Points | null = null;
    for (const rule of rules) points = this.#evaluate(rule, message, input, taken);
    return rules.at(-1)!.takesAll ? points : null;
  }

  /** What was stored; null where something was left out. */
  #evaluate(rule: TelemetryRule, message: Message, input: RuleInput, taken: Set<number> | null): Points | null {
    const outcome = rule.evaluate(input);
    if (!outcome.matched || outcome.value instanceof Uint8Array) return null;
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
    return this.#add(thing, points, taken) ? points : null;
  }

  /** Whether there was a series for each of them. */
  #add(thing: string, points: Points, taken: Set<number> | null): boolean {
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
    if (refused === 0) return true;
    this.counters.seriesRefused += refused;
    this.#tell(`series ${thing}`, "A thing has more series than are stored", { thing, refused });
    return false;
  }

  #shapeOf(bytes: Uint8Array, message: Message, points: Points): TopicShape | null {
    const { series, records, limits } = this.#options;
    const measurement = series.measurement(subjectOf(message), points.measurement);
    const ids = points.names.map((name, i) => series.resolve(measurement, name, typeOf(points.values[i]!)));
    const meant = { points, series: ids, receivedAt: message.receivedAt };
    const template = PayloadTemplate.learn(message.payload, meant, limits.telemetry);
    return template === null ? null : { sender: records.senderOf(bytes), template, entry: series.entry(ids[0]!) };
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
/** As the hot rules have it: one statement means one thing. */
const ENVIRONMENT = nodeSqlEnvironment();

class LazyInput implements RuleInput {
  readonly topic: string;
  readonly clientId: string;
  readonly receivedAt: number;
  readonly payload: Uint8Array;
  readonly #limits: Limits["rules"];
  readonly environment = ENVIRONMENT;
  #parsed: ParsedPayload | null = null;

  constructor(message: Message, limits: Limits["rules"]) {
    this.topic = message.topic;
    this.clientId = message.clientId;
    this.receivedAt = message.receivedAt;
    this.payload = message.payload;
    this.#limits = limits;
  }

  get exact(): boolean {
    return this.#parsed?.exact ?? false;
  }

  json(): ReturnType<RuleInput["json"]> {
    this.#parsed ??= parsePayload(this.payload, this.#limits);
    return this.#parsed.json;
  }
}
