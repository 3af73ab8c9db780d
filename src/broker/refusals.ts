/**
 * What the broker refuses, drops and counts. Every refusal has a metric and a log line that says what to do; a flood of
 * the same refusal costs a few lines, and the next line says how many were left out.
 */
import type { Clock, Counter, LogFields, Logger, Metrics } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";

/** Lines per kind and window. */
const LINES_PER_WINDOW = 5;
const WINDOW_MS = 10_000;

export type RefusalKind =
  | "malformed-packet"
  | "connect-timeout"
  | "connect-refused"
  | "authentication-failed"
  | "authentication-timeout"
  | "gatekeeper-slow"
  | "credential-expired"
  | "connections-full"
  | "connections-per-thing-full"
  | "connect-rate"
  | "sessions-full"
  | "sessions-per-thing-full"
  | "wills-full"
  | "partial-packets"
  | "client-id"
  | "will-refused"
  | "publish-forbidden"
  | "publish-topic"
  | "unfit-refused"
  | "unfit-flagged"
  | "unfit-kept-aside"
  | "subscribe-forbidden"
  | "subscribe-filter"
  | "subscribe-quota"
  | "subscription-revoked"
  | "receive-maximum"
  | "protocol-error"
  | "keep-alive"
  | "output-stalled"
  | "answer-too-large"
  | "retained-full"
  | "journal-full"
  | "journal-failed"
  | "state-failed"
  | "internal";

export type DropKind =
  | "slow-subscriber"
  | "share-unclaimed"
  | "queue-full"
  | "expired"
  | "too-large"
  | "receive-forbidden"
  | "no-longer-kept"
  | "requester-gone"
  | "handler-failed";

const KIND_OF_FAULT: Readonly<Record<number, RefusalKind>> = {
  [REASON.topicNameInvalid]: "publish-topic",
  [REASON.clientIdentifierNotValid]: "client-id",
};

/** What a packet that cannot be accepted is counted as. */
export function kindOfFault({ reasonCode }: { readonly reasonCode: number }): RefusalKind {
  return KIND_OF_FAULT[reasonCode] ?? "malformed-packet";
}

interface Window {
  since: number;
  lines: number;
  suppressed: number;
  readonly counter: Counter;
}

/** Told of every refusal, also of those that the log leaves out; must be cheap. */
export type RefusalListener = (kind: RefusalKind | DropKind, message: string, fields: LogFields) => void;

export class Refusals {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #onRefusal: RefusalListener | undefined;
  readonly #windows = new Map<string, Window>();
  /** Messages not delivered to a subscriber, for all reasons. */
  dropped = 0;
  /** Told of each refusal, also of those that are counted only. Must be quick. */
  listener: ((kind: RefusalKind, message: string, fields: LogFields) => void) | null = null;

  constructor(ports: { logger: Logger; clock: Clock; metrics: Metrics; onRefusal?: RefusalListener }) {
    this.#logger = ports.logger;
    this.#clock = ports.clock;
    this.#metrics = ports.metrics;
    this.#onRefusal = ports.onRefusal;
  }

  /** Something a peer asked for and did not get, or a connection that was ended for a reason. */
  refuse(kind: RefusalKind, message: string, fields: LogFields): void {
    this.#onRefusal?.(kind, message, fields);
    this.#note("tidewire_mqtt_refused_total", "Requests and connections refused, by reason", kind, message, fields);
    this.listener?.(kind, message, fields);
  }

  /** A message that was not delivered to one subscriber. */
  drop(kind: DropKind, message: string, fields: LogFields): void {
    this.dropped++;
    this.#onRefusal?.(kind, message, fields);
    this.#note("tidewire_mqtt_dropped_total", "Messages not delivered to a subscriber", kind, message, fields);
  }

  /** A client that is served more slowly; `tidewire_mqtt_limit_reached_total` counts it. */
  slowDown(limit: string, message: string, fields: LogFields): void {
    this.#note("tidewire_mqtt_slowed_down_total", "Times that a client was made to wait", limit, message, fields);
  }

  #note(name: string, help: string, reason: string, message: string, fields: LogFields): void {
    const key = `${name} ${reason}`;
    let window = this.#windows.get(key);
    if (window === undefined) {
      const counter = this.#metrics.counter({ name, help, labels: { reason } });
      window = { since: this.#clock.monotonic(), lines: 0, suppressed: 0, counter };
      this.#windows.set(key, window);
    }
    window.counter.value++;
    const now = this.#clock.monotonic();
    if (now - window.since >= WINDOW_MS) {
      window.since = now;
      window.lines = 0;
    }
    if (window.lines >= LINES_PER_WINDOW) {
      window.suppressed++;
      return;
    }
    window.lines++;
    const more = window.suppressed === 0 ? {} : { suppressed: window.suppressed };
    window.suppressed = 0;
    this.#logger.warn(message, { reason, ...fields, ...more });
  }
}
