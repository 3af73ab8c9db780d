/**
 * What was refused before MQTT, for the audit log: handshakes that failed, certificates that were not let in. A few entries a
 * minute for one network and reason, a bounded number for all together; the rest is a number, so that a scan cannot flood it.
 */
import type { ListenerRefusal } from "../adapters/net/mod.ts";
import type { AuditTrail } from "../audit/mod.ts";
import { LIMITS, minutes, networkOf } from "../base/mod.ts";
import type { Cancel, Scheduler } from "../base/mod.ts";

export interface ListenerAuditOptions {
  readonly audit: Pick<AuditTrail, "note" | "refused">;
  readonly scheduler: Scheduler;
}

/** Reasons are a few dozen, but an adapter could find more. */
const REASONS_MAX = 50;

export class ListenerAudit {
  readonly #audit: ListenerAuditOptions["audit"];
  readonly #cancel: Cancel;
  #written = 0;
  /** By reason; `REASONS_MAX` at most. */
  readonly #leftOut = new Map<string, number>();

  constructor({ audit, scheduler }: ListenerAuditOptions) {
    this.#audit = audit;
    this.#cancel = scheduler.every(minutes(1), () => this.#turn());
  }

  close(): void {
    this.#cancel();
    this.#turn();
  }

  note({ remoteAddress, reason, hint, certificate }: ListenerRefusal): void {
    if (this.#written >= LIMITS.audit.listenerRefusalsPerMinuteMax) {
      const known = this.#leftOut.has(reason) || this.#leftOut.size < REASONS_MAX ? reason : "others";
      this.#leftOut.set(known, (this.#leftOut.get(known) ?? 0) + 1);
      return;
    }
    const written = this.#audit.refused(`${networkOf(remoteAddress)} ${reason}`, {
      // Only what the handshake has proved says who it is.
      actor: { kind: "device", certificateId: certificate?.certificateId ?? null },
      address: remoteAddress,
      action: `listener.refuse.${reason}`,
      target: certificate?.subject ?? null,
      outcome: "refused",
      reason: hint,
    });
    if (written) this.#written++;
  }

  #turn(): void {
    this.#written = 0;
    if (this.#leftOut.size === 0) return;
    this.#audit.note({
      actor: { kind: "system", part: "audit" },
      address: null,
      action: "refusals.left-out",
      target: "listeners",
      outcome: "ok",
      details: Object.fromEntries(this.#leftOut),
    });
    this.#leftOut.clear();
  }
}
