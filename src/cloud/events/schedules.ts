/** Messages by the clock: cron in a time zone, published like any device's. What was slept through is left out, or made up for once. */
import { LIMITS, encodeUtf8, isJsonObject, minutes, reasonOf, seconds } from "../../base/mod.ts";
import type {
  Cancel,
  Clock,
  Counter,
  EpochMs,
  JsonObject,
  JsonValue,
  Logger,
  Message,
  Metrics,
  Scheduler,
} from "../../base/mod.ts";
import type { CronTimes, StoredDocument } from "../../rules/mod.ts";
import type { ScheduleView } from "../api/contract-files.ts";
import { documentInvalid, fieldsOf } from "../files/mod.ts";
import type { DocumentKind, Documents } from "../files/mod.ts";
import { checkName, optionalFlag, optionalText, topicOf } from "./checks.ts";

export interface SchedulesOptions {
  /** On disk when it resolves. */
  readonly publish: (message: Message) => Promise<void>;
  /** What is kept beside the rules: last runs are among it. */
  readonly stored: readonly StoredDocument[];
  readonly keep: (documents: readonly StoredDocument[]) => void;
  readonly cron: CronTimes;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const KEYS = ["description", "cron", "timezone", "topic", "payload", "retain", "missed", "enabled"] as const;
const STATE = "schedule-state";
/** Later than this is missed: the platform was down, or the machine asleep. */
const LATE_MAX = minutes(1);
/** The clock may be set: it is looked at so often at least. */
const LOOK_PERIOD_MAX = seconds(30);
/** A last run further ahead than this is one of a clock that was wrong. */
const CLOCK_AHEAD_MAX = minutes(60);

interface Planned {
  readonly name: string;
  readonly document: JsonObject;
  next: EpochMs | null;
  /** What was due by then has run, or is not to run. */
  upTo: EpochMs;
  lastAt: EpochMs | null;
  lastError: string | null;
}

export class Schedules implements DocumentKind {
  readonly kind = "schedule";
  readonly max = LIMITS.events.schedulesMax;
  readonly #o: SchedulesOptions;
  readonly #planned = new Map<string, Planned>();
  /** As on disk, of those that make up for what they missed. */
  readonly #upTo = new Map<string, EpochMs>();
  readonly #runs: Counter;
  readonly #failures: Counter;
  readonly #missed: Counter;
  readonly #running = new Set<Promise<void>>();
  #cancel: Cancel = () => {};
  #started = false;
  #lookedAt: EpochMs = -Infinity;

  constructor(options: SchedulesOptions) {
    this.#o = options;
    for (const { kind, name, document } of options.stored) {
      if (kind === STATE && document !== null) this.#upTo.set(name, document["upTo"] as number);
    }
    const { metrics } = options;
    this.#runs = metrics.counter({ name: "tidewire_schedule_runs_total", help: "Messages published on schedule" });
    this.#failures = metrics.counter({
      name: "tidewire_schedule_failures_total",
      help: "Messages on schedule that could not be published",
    });
    this.#missed = metrics.counter({
      name: "tidewire_schedule_missed_total",
      help: "Times of schedules that passed while the platform was down, and were left out",
    });
  }

  check(name: string, input: unknown): JsonObject {
    checkName(this.kind, name);
    const given = fieldsOf(this.kind, input, KEYS);
    const { cron, timezone = "UTC", missed = "skip", payload = {} } = given;
    if (typeof cron !== "string" || typeof timezone !== "string") {
      throw documentInvalid(this.kind, typeof cron === "string" ? "timezone" : "cron", "it must be text");
    }
    if (missed !== "skip" && missed !== "once") throw documentInvalid(this.kind, "missed", "it must be skip or once");
    if (JSON.stringify(payload).length > LIMITS.events.payloadBytesMax) {
      throw documentInvalid(this.kind, "payload", `it is longer than ${LIMITS.events.payloadBytesMax} bytes`);
    }
    this.#checkTimes(cron, timezone);
    const description = optionalText(this.kind, "description", given["description"]);
    const retain = optionalFlag(this.kind, "retain", given["retain"]);
    const enabled = optionalFlag(this.kind, "enabled", given["enabled"]);
    return {
      ...(description === undefined ? {} : { description }),
      cron,
      timezone,
      topic: topicOf(this.kind, given["topic"]),
      payload: payload as JsonValue,
      ...(retain === true ? { retain } : {}),
      missed,
      ...(enabled === false ? { enabled } : {}),
    };
  }

  #checkTimes(cron: string, timezone: string): void {
    const clause = (fault: string): string => fault.replace(/^CronPattern: /, "").replace(/\.$/, "");
    const inUtc = this.#o.cron.fault(cron, "UTC");
    if (inUtc !== null) throw documentInvalid(this.kind, "cron", clause(inUtc));
    const inZone = this.#o.cron.fault(cron, timezone);
    if (inZone !== null) throw documentInvalid(this.kind, "timezone", clause(inZone));
  }

  mapSecrets(document: JsonObject): JsonObject {
    return document;
  }

  beside(name: string, after: JsonObject | null): StoredDocument[] {
    if (after === null) return [{ kind: STATE, name, document: null }];
    if (after["missed"] !== "once" || this.#upTo.has(name)) return [];
    return [{ kind: STATE, name, document: { upTo: this.#o.clock.now() } }];
  }

  adopt(documents: Documents): void {
    for (const [name, { document }] of this.#planned) {
      if (documents.get(name) !== document) this.#planned.delete(name);
      if (!documents.has(name)) this.#upTo.delete(name);
    }
    const now = this.#o.clock.now();
    for (const [name, document] of documents) {
      if (this.#planned.has(name) || document["enabled"] === false) continue;
      const upTo = this.#upTo.get(name) ?? now;
      if (document["missed"] === "once") this.#upTo.set(name, upTo);
      this.#planned.set(name, {
        name,
        document,
        next: this.#after(document, now),
        upTo,
        lastAt: null,
        lastError: null,
      });
    }
    if (this.#started) this.#plan();
  }

  /** From now on they run; what was missed meanwhile is looked at once. */
  start(): void {
    this.#started = true;
    const now = this.#o.clock.now();
    for (const one of this.#planned.values()) this.#makeUp(one, now);
    this.#plan();
  }

  async close(): Promise<void> {
    this.#started = false;
    this.#cancel();
    await Promise.all(this.#running);
  }

  list(): ScheduleView[] {
    return [...this.#planned.values()].map(({ name, document, next, lastAt, lastError }) => ({
      name,
      cron: document["cron"] as string,
      timezone: document["timezone"] as string,
      topic: document["topic"] as string,
      next,
      lastAt,
      lastError,
    }));
  }

  #after(document: JsonObject, time: EpochMs): EpochMs | null {
    return this.#o.cron.next(document["cron"] as string, document["timezone"] as string, time);
  }

  #makeUp(one: Planned, now: EpochMs): void {
    if (one.document["missed"] !== "once" || one.upTo > now) return;
    const missed = this.#after(one.document, Math.max(one.upTo, now - LIMITS.events.missedReach));
    if (missed !== null && missed <= now) this.#run(one, now);
  }

  #plan(): void {
    this.#cancel();
    const now = this.#o.clock.now();
    let wait: number = LOOK_PERIOD_MAX;
    for (const { next } of this.#planned.values()) if (next !== null) wait = Math.min(wait, Math.max(0, next - now));
    this.#cancel = this.#o.scheduler.after(wait, () => this.#look());
  }

  #look(): void {
    if (!this.#started) return;
    const now = this.#o.clock.now();
    const isBack = now < this.#lookedAt;
    this.#lookedAt = now;
    for (const one of this.#planned.values()) {
      const due = one.next;
      if (due !== null && due <= now) {
        if (now - due <= LATE_MAX || one.document["missed"] === "once") this.#run(one, due);
        else this.#missed.value++;
      } else if (!isBack) continue;
      // A clock that was set back runs nothing twice; one that was far ahead stops nothing.
      const from = one.lastAt !== null && one.lastAt > now && one.lastAt - now < CLOCK_AHEAD_MAX ? one.lastAt : now;
      one.next = this.#after(one.document, from);
    }
    this.#plan();
  }

  #run(one: Planned, due: EpochMs): void {
    one.lastAt = due;
    const running = this.#publish(one, due).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Never rejects. */
  async #publish(one: Planned, due: EpochMs): Promise<void> {
    const { name, document } = one;
    try {
      await this.#o.publish({
        topic: document["topic"] as string,
        payload: payloadOf(document["payload"]!, name, due),
        qos: 1,
        retain: document["retain"] === true,
        clientId: `schedule:${name}`,
        thing: null,
        receivedAt: this.#o.clock.now(),
        properties: null,
      });
      this.#runs.value++;
      one.lastError = null;
      // Kept behind the message: after a crash between the two it is sent once more, never left out.
      if (document["missed"] === "once") {
        this.#upTo.set(name, due);
        this.#o.keep([{ kind: STATE, name, document: { upTo: due } }]);
      }
    } catch (error) {
      this.#failures.value++;
      const reason = reasonOf(error);
      if (one.lastError !== reason)
        this.#o.logger.error("A message on schedule could not be published", { schedule: name, reason });
      one.lastError = reason;
    }
  }
}

/** In texts of the payload `${time}` (ISO 8601), `${timestamp}` (milliseconds) and `${name}` are filled in; a text that is only `${timestamp}` becomes a number. */
function payloadOf(payload: JsonValue, name: string, due: EpochMs): Uint8Array {
  const words: Readonly<Record<string, string>> = { name, time: new Date(due).toISOString(), timestamp: String(due) };
  const filled = (value: JsonValue): JsonValue => {
    if (value === "${timestamp}") return due;
    if (typeof value === "string")
      return value.replace(/\$\{(name|time|timestamp)\}/g, (_, word: string) => words[word]!);
    if (Array.isArray(value)) return value.map((item: JsonValue) => filled(item));
    if (!isJsonObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, filled(below)]));
  };
  const value = filled(payload);
  return encodeUtf8(typeof value === "string" ? value : JSON.stringify(value));
}
