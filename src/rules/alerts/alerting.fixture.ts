/** Alerts on simulated time, with a disk that may be taken away between two saves, and channels that remember. */
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../../sim/world.ts";
import { cronTimes } from "../../adapters/cron-times.ts";
import { zonedTime } from "../../adapters/zoned-time.ts";
import { LIMITS, seconds } from "../../base/mod.ts";
import type { RulesLimits } from "../model.ts";
import { Alerting } from "./alerting.ts";
import type { AlertConfig } from "./config.ts";
import { alertConfigOf } from "./config.ts";
import type { Alert, Severity } from "./model.ts";
import type { Notification } from "./notification.ts";
import type { AlertPlan } from "./plan.ts";
import { policyOf } from "./policy.ts";
import type { AlertTiming } from "./policy.ts";
import type { AlertRow, StoredAlert } from "./store.ts";

/** `plan:` of a test as a user would write it; contact points are `{name, chat: true}` or `{name, program: true}`. */
export function configOf(alerts: unknown): AlertConfig<string> {
  return alertConfigOf<string>(alerts, {
    zones: zonedTime(),
    cron: cronTimes(),
    actionAt: (input) => Object.keys(input)[0] ?? "",
    edits: (action) => (action === "edits" ? "silently" : "no"),
    channelOf: (action) => action,
    isProgram: (action) => action === "program",
  });
}

export function planOf(alerts: unknown): AlertPlan {
  return configOf(alerts).plan;
}

/** At once when it is well again, never flapping: what the tests of telling need. */
export const BRISK: AlertTiming = { clearAfterSeconds: 0 };

export interface Reading {
  readonly verdict?: "breach" | "between" | "well";
  readonly thing?: string;
  readonly key?: string;
  readonly severity?: Severity;
  readonly labels?: Readonly<Record<string, string>>;
  readonly timing?: AlertTiming;
}

export class AlertWorld {
  readonly clock: SimClock;
  readonly logger = new SimLogger();
  metrics = new SimMetrics();
  readonly limits: RulesLimits;
  /** Everything that was sent, also before a crash. */
  readonly sent: Notification[] = [];
  alerting: Alerting;
  readonly watched = new Set<string>();
  readonly #timings = new Map<string, AlertTiming>();
  #plan: AlertPlan;
  #offset = 0;
  readonly #diskAlerts = new Map<string, StoredAlert>();
  readonly #diskRows = new Map<string, AlertRow>();
  /** Rows written so far. */
  written = 0;

  constructor(plan: AlertPlan, options: { readonly start?: number; readonly limits?: Partial<RulesLimits> } = {}) {
    this.clock = options.start === undefined ? new SimClock() : new SimClock(options.start);
    this.limits = { ...LIMITS.rules, ...options.limits };
    this.#plan = plan;
    this.alerting = this.#start();
  }

  read(rule: string, reading: Reading = {}): void {
    const { verdict = "breach", thing = "pi-1", key = thing, severity = "warning", labels = {} } = reading;
    const timing = reading.timing ?? BRISK;
    this.#timings.set(rule, timing);
    this.alerting.observe({
      rule,
      key,
      thing,
      source: "rule",
      verdict,
      offset: this.#offset++,
      receivedAt: this.clock.now(),
      policy: policyOf(timing, seconds(15)),
      describe: () => ({ severity, summary: `${rule} on ${thing}`, value: "95", threshold: "90", labels }),
    });
  }

  well(rule: string, reading: Reading = {}): void {
    this.read(rule, { ...reading, verdict: "well" });
  }

  hear(rule: string, thing: string, span: number, offset = this.#offset++): void {
    this.alerting.hear({ rule, key: thing, thing, offset, at: this.clock.now(), span });
  }

  /** Second by second, as the runtime does it. */
  pass(span: number): void {
    for (let passed = 0; passed < span; passed += 1000) {
      this.clock.advance(Math.min(1000, span - passed));
      this.alerting.tick(true);
      this.save();
    }
  }

  /** In steps of a minute, for long stories. */
  passLong(span: number): void {
    for (let passed = 0; passed < span; passed += 60_000) {
      this.clock.advance(Math.min(60_000, span - passed));
      this.alerting.tick(true);
    }
    this.save();
  }

  save(): void {
    const { alerts, alertRows } = this.alerting.changes(true);
    for (const stored of alerts) this.#diskAlerts.set(stored.alert.id, copied(stored));
    for (const row of alertRows) {
      if (row.document === null) this.#diskRows.delete(`${row.kind} ${row.id}`);
      else this.#diskRows.set(`${row.kind} ${row.id}`, row);
    }
    this.written += alerts.length + alertRows.length;
    this.alerting.saved(alerts, this.#offset);
  }

  /** As the store does it: nothing on disk speaks of the thing any more. */
  forget(thing: string): void {
    this.save();
    this.alerting.forget(thing);
    for (const [key, row] of this.#diskRows) if (row.thing === thing) this.#diskRows.delete(key);
    for (const [key, { alert }] of this.#diskAlerts) if (alert.thing === thing) this.#diskAlerts.delete(key);
  }

  get rows(): readonly AlertRow[] {
    return [...this.#diskRows.values()];
  }

  /** Nothing more is saved; another process starts with what is on disk. */
  crash(plan: AlertPlan = this.#plan): void {
    this.#plan = plan;
    this.metrics = new SimMetrics();
    this.alerting = this.#start();
  }

  /** `ops firing: title`, one per message. */
  told(): string[] {
    return this.sent.map(({ contact, kind, title }) => `${contact} ${kind}: ${title}`);
  }

  alert(): Alert {
    return this.alerting.list({ state: "all", limit: 1 })[0]!;
  }

  #start(): Alerting {
    const alerting = new Alerting({
      clock: this.clock,
      random: new SimRandom(1),
      logger: this.logger,
      metrics: this.metrics,
      limits: this.limits,
      plan: this.#plan,
      zones: zonedTime(),
      cron: cronTimes(),
      rules: {
        policyOf: (rule) => policyOf(this.#timings.get(rule) ?? BRISK, seconds(15)),
        placeOf: () => "",
        watches: (rule) => this.watched.has(rule),
        describeSilence: ({ rule, thing }) => ({
          severity: "warning",
          summary: `${rule}: ${thing} is silent`,
          value: null,
          threshold: null,
          labels: {},
        }),
      },
      save: () => this.save(),
      inOneSave: (steps) => steps(),
      position: () => this.#offset,
      send: (notification) => this.sent.push(copied(notification)),
    });
    alerting.restore([...this.#diskAlerts.values()], [...this.#diskRows.values()]);
    return alerting;
  }
}

function copied<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

export const OPS = { contacts: [{ name: "ops", chat: true }], route: { contacts: ["ops"] } };

export function world(alerts: object = OPS, options = {}): AlertWorld {
  return new AlertWorld(planOf(alerts), options);
}
