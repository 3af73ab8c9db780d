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
  const { actor, address, action, target, outcome, reason, incident, details } = event;
  const text = textOf({
    sequence,
    time: new Date(time).toISOString(),
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
  const cut = (given: string | null | undefined): string | null => given?.slice(0, 512) ?? null;
  const short = { address, action, target: cut(target), outcome, reason: cut(reason), incident };
  const at = { sequence, time: new Date(time).toISOString() };
  return textOf({ ...at, actor: { kind: actor.kind }, ...short, details: { tooLong: text.length } });
}

function textOf(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(present(fields));
}

function present<T>(fields: Readonly<Record<string, T>>): Record<string, T> {
  const kept: Record<string, T> = {};
  for (const [name, value] of Object.entries(fields)) if (value !== null && value !== undefined) kept[name] = value;
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
