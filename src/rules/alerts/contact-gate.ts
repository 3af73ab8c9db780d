/**
 * How much a contact point may be sent. What is above goes into a digest: one message, with everything in it, as soon as
 * there may be one again. Constant space however much it is.
 */
import type { EpochMs } from "../../base/mod.ts";
import { LINES_MAX, number } from "./notification.ts";
import type { Notification } from "./notification.ts";
import { SEVERITIES, severityRank } from "./model.ts";
import type { Severity } from "./model.ts";
import type { ContactPoint } from "./plan.ts";

export class ContactGate {
  readonly contact: ContactPoint;
  #tokens: number;
  #refilledAt: EpochMs | null = null;
  #held: Digest | null = null;
  #seq = 0;

  constructor(contact: ContactPoint) {
    this.contact = contact;
    this.#tokens = contact.perMinute ?? 0;
  }

  /** Whether there may be one more now. */
  mayTell(now: EpochMs): boolean {
    const { perMinute } = this.contact;
    if (perMinute === null) return true;
    this.#refill(perMinute, now);
    return this.#held === null && this.#tokens >= 1;
  }

  /** Whether it may be sent; else it is held. */
  admit(notification: Notification, now: EpochMs): boolean {
    if (this.contact.perMinute === null) return true;
    if (this.mayTell(now)) {
      this.#tokens--;
      return true;
    }
    this.#held = added(this.#held, notification);
    return false;
  }

  /** What was held, as one message, where there may be one now. */
  release(now: EpochMs): Notification | null {
    const { perMinute, name } = this.contact;
    if (this.#held === null || perMinute === null) return null;
    this.#refill(perMinute, now);
    if (this.#tokens < 1) return null;
    this.#tokens--;
    const held = this.#held;
    this.#held = null;
    return digestOf(held, `${encodeURIComponent(name)}.digest.${this.#seq++}`, name, now);
  }

  get holds(): boolean {
    return this.#held !== null;
  }

  /** For the store: null while there is nothing that could be lost. */
  document(): string | null {
    return this.#held === null && this.#seq === 0 ? null : JSON.stringify({ held: this.#held, seq: this.#seq });
  }

  restore(document: string): void {
    const { held, seq } = JSON.parse(document) as { held: Digest | null; seq: number };
    this.#held = held;
    this.#seq = seq;
    if (held !== null) this.#tokens = 0; // it was too much a moment ago
  }

  #refill(perMinute: number, now: EpochMs): void {
    const passed = this.#refilledAt === null ? 0 : Math.max(0, now - this.#refilledAt);
    this.#refilledAt = now;
    this.#tokens = Math.min(perMinute, this.#tokens + (passed * perMinute) / 60_000);
  }
}

interface Digest {
  readonly messages: number;
  readonly firing: number;
  readonly resolved: number;
  readonly bySeverity: Readonly<Record<Severity, number>>;
  readonly since: EpochMs;
  readonly top: readonly { readonly severity: Severity; readonly line: string }[];
}

const EMPTY: Digest = {
  messages: 0,
  firing: 0,
  resolved: 0,
  bySeverity: { info: 0, warning: 0, critical: 0 },
  since: Infinity,
  top: [],
};

function added(held: Digest | null, { group, severity, title, since, kind }: Notification): Digest {
  const digest = held ?? EMPTY;
  const bySeverity = { ...digest.bySeverity };
  for (const name of SEVERITIES) bySeverity[name] += group.bySeverity[name];
  const line = `${kind === "resolved" ? "over" : severity}: ${title}`;
  const top = [...digest.top, { severity, line }].sort((a, b) => severityRank(a.severity) - severityRank(b.severity));
  return {
    messages: digest.messages + 1,
    firing: digest.firing + group.firing,
    resolved: digest.resolved + group.resolved,
    bySeverity,
    since: Math.min(digest.since ?? since, since),
    top: top.slice(0, LINES_MAX),
  };
}

function digestOf(held: Digest, id: string, contact: string, at: EpochMs): Notification {
  const { messages, firing, resolved, bySeverity, since, top } = held;
  const omitted = messages - top.length;
  const counts = [...SEVERITIES].reverse().filter((severity) => bySeverity[severity] > 0);
  const worst = counts[0] ?? "info";
  const what = counts.map((severity) => `${number(bySeverity[severity])} ${severity}`);
  if (resolved > 0) what.push(`${number(resolved)} over`);
  return {
    id,
    contact,
    kind: "digest",
    at,
    severity: worst,
    title: `${number(firing + resolved)} alerts in ${number(messages)} messages that were too many: ${what.join(", ")}`,
    lines: [...top.map(({ line }) => line), ...(omitted > 0 ? [`… and ${number(omitted)} more`] : [])],
    device: null,
    value: null,
    threshold: null,
    since,
    duration: null,
    links: null,
    group: { id, labels: {}, firing, acknowledged: 0, resolved, bySeverity, omitted },
    alerts: [],
    form: "message",
    isLast: true,
  };
}
