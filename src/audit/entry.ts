/** One thing that was done or refused. No secrets, no payloads. */
import { LIMITS } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";

export type AuditOutcome = "ok" | "refused" | "failed";

/** Who did it: a kind (`user`, `api-key`, `device`, `system` …) and what names him. */
export type AuditActor = { readonly kind: string } & Readonly<Record<string, string | null>>;

export interface AuditEvent {
  readonly actor: AuditActor;
  readonly address: string | null;
  /** Stable: `user.add`, `device.connect` … */
  readonly action: string;
  readonly target: string | null;
  readonly outcome: AuditOutcome;
  /** In words, or a stable code. */
  readonly reason?: string | null;
  readonly incident?: string | null;
  /** Small fields, before and after. */
  readonly details?: Readonly<Record<string, unknown>> | null;
}

export interface AuditEntry extends AuditEvent {
  /** Consecutive from 1, over all files. */
  readonly sequence: number;
  readonly time: EpochMs;
}

/** The bytes that are hashed: members in one order, those that are not there left out. */
export function entryText(sequence: number, time: EpochMs, event: AuditEvent): string {
  const { actor, action, outcome } = event;
  const isoTime = new Date(time).toISOString();
  // What is undefined, JSON leaves out by itself.
  const address = event.address ?? undefined;
  const target = event.target ?? undefined;
  const reason = event.reason ?? undefined;
  const incident = event.incident ?? undefined;
  const details = event.details ?? undefined;
  const text = JSON.stringify({
    sequence,
    time: isoTime,
    actor: present(actor),
    address,
    action,
    target,
    outcome,
    reason,
    incident,
    details,
  });
  if (text.length <= LIMITS.audit.entryBytesMax) return text;
  const short = { address, action, target: target?.slice(0, 512), outcome, reason: reason?.slice(0, 512), incident };
  return JSON.stringify({
    sequence,
    time: isoTime,
    actor: { kind: actor.kind },
    ...short,
    details: { tooLong: text.length },
  });
}

function present(actor: AuditActor): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name in actor) {
    const value = actor[name] ?? null;
    if (value !== null) kept[name] = value;
  }
  return kept;
}

/** Null where the text is no entry of ours. */
export function parseEntry(text: string): AuditEntry | null {
  let json: Partial<AuditEntry> & { readonly time?: unknown };
  try {
    json = JSON.parse(text) as typeof json;
  } catch {
    return null;
  }
  const { sequence, actor, action, outcome } = json;
  const time = Date.parse(String(json.time));
  if (typeof sequence !== "number" || typeof action !== "string" || Number.isNaN(time)) return null;
  if (typeof actor?.kind !== "string" || outcome === undefined) return null;
  const { address = null, target = null, reason = null, incident = null, details = null } = json;
  return { sequence, time, actor, address, action, target, outcome, reason, incident, details };
}
