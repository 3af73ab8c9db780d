/** Alerts that are told together: who is in it, what was told, and when it is looked at again. */
import type { EpochMs, Millis } from "../../base/mod.ts";
import type { AlertRecord } from "./model.ts";
import { isPerAlert } from "./routing.ts";
import type { Route } from "./routing.ts";
import type { AlertRow } from "./store.ts";

export class Group {
  readonly id: string;
  readonly route: Route;
  readonly labels: Readonly<Record<string, string>>;
  /** Bounded by the active alerts, and those that ended since the last look. */
  readonly members = new Set<AlertRecord>();
  /** Number of its next notification. */
  seq = 0;
  /** When it is looked at; null: nothing is to be told. */
  flushAt: EpochMs | null = null;
  flushedAt: EpochMs | null = null;
  firstToldAt: EpochMs | null = null;
  lastToldAt: EpochMs | null = null;
  /** How many steps of the escalation were taken since `firstToldAt`. */
  escalated = 0;
  /** Contact points that have heard of it, beside the route's own. */
  readonly heard = new Set<string>();

  constructor(id: string, route: Route, labels: Readonly<Record<string, string>>) {
    this.id = id;
    this.route = route;
    this.labels = labels;
  }

  get perAlert(): boolean {
    return isPerAlert(this.route);
  }

  /** Contact points that are told of what becomes of it. */
  contacts(): string[] {
    return [...new Set([...this.route.contacts, ...this.heard])];
  }

  /** When time alone has something to do with it. */
  dueAt(): EpochMs | null {
    const step = this.route.escalate[this.escalated];
    const escalateAt = this.firstToldAt === null || step === undefined ? null : this.firstToldAt + step.after;
    const due = Math.min(this.flushAt ?? Infinity, escalateAt ?? Infinity);
    return due === Infinity ? null : due;
  }

  /** Earlier than it would be, never later. */
  wakeAt(at: EpochMs): void {
    this.flushAt = Math.min(this.flushAt ?? Infinity, at);
  }

  /** Nobody is worried any more: the next alert begins anew. */
  calm(): void {
    this.firstToldAt = null;
    this.escalated = 0;
  }

  /** The clock on the wall was set; spans stay as long as they are. */
  shift(by: Millis): void {
    const moved = (time: EpochMs | null): EpochMs | null => (time === null ? null : time + by);
    this.flushAt = moved(this.flushAt);
    this.flushedAt = moved(this.flushedAt);
    this.firstToldAt = moved(this.firstToldAt);
    this.lastToldAt = moved(this.lastToldAt);
  }

  row(): AlertRow {
    const { id, seq, flushAt, flushedAt, firstToldAt, lastToldAt, escalated, labels } = this;
    const saved: GroupDocument = {
      route: this.route.id,
      labels,
      seq,
      flushAt,
      flushedAt,
      firstToldAt,
      lastToldAt,
      escalated,
      heard: [...this.heard],
    };
    return { kind: "group", id, thing: labels["thing"] ?? null, document: JSON.stringify(saved) };
  }

  /** Times that lie too far ahead come from a clock that was set back since: nothing waits longer than it has to. */
  restore(document: string, now: EpochMs): void {
    const saved = JSON.parse(document) as GroupDocument;
    const { groupWait, groupInterval } = this.route;
    const flushAtMax = now + Math.max(groupWait, groupInterval);
    this.seq = saved.seq;
    this.flushAt = saved.flushAt === null ? null : Math.min(saved.flushAt, flushAtMax);
    this.flushedAt = notAfter(saved.flushedAt, now);
    this.firstToldAt = notAfter(saved.firstToldAt, now);
    this.lastToldAt = notAfter(saved.lastToldAt, now);
    this.escalated = saved.escalated;
    for (const contact of saved.heard) this.heard.add(contact);
  }
}

interface GroupDocument {
  readonly route: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly seq: number;
  readonly flushAt: EpochMs | null;
  readonly flushedAt: EpochMs | null;
  readonly firstToldAt: EpochMs | null;
  readonly lastToldAt: EpochMs | null;
  readonly escalated: number;
  readonly heard: readonly string[];
}

function notAfter(time: EpochMs | null, now: EpochMs): EpochMs | null {
  return time === null ? null : Math.min(time, now);
}
