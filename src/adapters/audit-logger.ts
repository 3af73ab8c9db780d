/**
 * A logger whose lines with `audit: true` go into the audit log as well. What is logged while a request is served belongs
 * to that request's entry, which knows who asked; everything else was done by the platform itself.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { AuditTrail } from "../audit/mod.ts";
import type { LogFields, Logger } from "../base/mod.ts";

/** What a request has brought about: `AUDIT_EFFECTS_MAX` lines at most, the rest counted. */
export interface AuditScope {
  readonly effects: LogFields[];
  leftOut: number;
}

const AUDIT_EFFECTS_MAX = 20;

export class AuditScopes {
  readonly #storage = new AsyncLocalStorage<AuditScope>();

  run(scope: AuditScope, work: () => void): void {
    this.#storage.run(scope, work);
  }

  get current(): AuditScope | null {
    return this.#storage.getStore() ?? null;
  }
}

export function auditedLogger(
  logger: Logger,
  trail: Pick<AuditTrail, "note">,
  scopes: AuditScopes,
  common: LogFields = {},
): Logger {
  const look = (message: string, given: LogFields | undefined): void => {
    const { audit, ...fields } = { ...common, ...given };
    if (audit !== true) return;
    const scope = scopes.current;
    if (scope === null) trail.note(eventOf(message, fields));
    else if (scope.effects.length < AUDIT_EFFECTS_MAX) scope.effects.push({ message, ...fields });
    else scope.leftOut++;
  };
  return {
    debug: (message, fields) => logger.debug(message, fields),
    info: (message, fields) => (logger.info(message, fields), look(message, fields)),
    warn: (message, fields) => (logger.warn(message, fields), look(message, fields)),
    error: (message, fields) => (logger.error(message, fields), look(message, fields)),
    child: (fields) => auditedLogger(logger.child(fields), trail, scopes, { ...common, ...fields }),
  };
}

function eventOf(message: string, fields: LogFields): Parameters<AuditTrail["note"]>[0] {
  const { kind, change, id, thing, ...details } = fields;
  const action = typeof kind === "string" && typeof change === "string" ? `${kind}.${change}` : "platform.note";
  const target = [id, thing].find((one) => typeof one === "string");
  const actor = { kind: "system", part: "platform" } as const;
  return { actor, address: null, action, target: target ?? null, outcome: "ok", reason: message, details };
}
