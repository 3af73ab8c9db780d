/** Every change that is asked for through the API becomes an entry of the audit log before it is answered. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { AuditScope } from "../../adapters/audit-logger.ts";
import type { AuditEvent } from "../../audit/mod.ts";
import { TidewireError } from "../../base/mod.ts";
import type { ApiPorts } from "./ports.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The name of a change; without it, its method and route. False: it changes nothing, whatever its permission says. */
    audit?: string | false;
  }
  interface FastifyRequest {
    auditScope: AuditScope | null;
    /** What the error handler has made of a refusal. */
    refusal: { readonly code: string; readonly incident: string | null } | null;
    /** Small fields that the route wants in the entry: before and after. No secrets. */
    auditDetails: Readonly<Record<string, unknown>> | null;
  }
}

type Ports = Pick<ApiPorts, "audit" | "auditScopes">;

export function auditChanges(app: FastifyInstance, { audit, auditScopes }: Ports): void {
  app.decorateRequest("auditScope", null);
  app.decorateRequest("auditDetails", null);
  app.decorateRequest("refusal", null);
  // With `done`, not async: what follows is called from within, and so belongs to the scope.
  app.addHook("preHandler", (request, _reply, done) => {
    if (nameOfChange(request) === null) {
      done();
      return;
    }
    const reason = audit.unavailable;
    if (reason !== null) {
      done(new TidewireError("AUDIT_UNAVAILABLE", { reason }));
      return;
    }
    request.auditScope = { effects: [], leftOut: 0 };
    auditScopes.run(request.auditScope, done);
  });
  app.addHook("onSend", async (request, reply, payload) => {
    const action = nameOfChange(request);
    // A stranger's attempts are counted by `auth.refuse`; here is what somebody asked for who is somebody.
    if (action === null || request.actor === null || request.refusal?.code === "AUDIT_UNAVAILABLE") return payload;
    await audit.commit(changeEvent(action, request, reply));
    return payload;
  });
}

/** Null where the request changes nothing. */
function nameOfChange({ method, routeOptions }: FastifyRequest): string | null {
  const { permission, audit } = routeOptions.config;
  if (audit === false || routeOptions.url === undefined) return null;
  if (audit !== undefined) return audit;
  const changes = permission !== undefined && /:(?:write|erase)$/.test(permission);
  return changes && method !== "GET" && method !== "HEAD" ? `${method} ${routeOptions.url}` : null;
}

function changeEvent(action: string, request: FastifyRequest, reply: FastifyReply): AuditEvent {
  const { actor, auditScope, auditDetails, refusal } = request;
  const parameters = Object.values((request.params ?? {}) as Record<string, string>);
  // A presigned address is as good as a password while it lasts.
  const asked = Object.entries(request.query ?? {}).filter(([name]) => !name.startsWith("X-Amz-"));
  const query = asked.length === 0 ? null : Object.fromEntries(asked);
  const effects = auditScope === null || auditScope.effects.length === 0 ? null : auditScope.effects;
  const failed = reply.statusCode >= 400;
  return {
    actor: actor!.identity,
    address: request.ip,
    action,
    target: parameters.length === 0 ? null : parameters.join(" "),
    outcome: failed ? (refusal?.code === "PERMISSION_DENIED" ? "refused" : "failed") : "ok",
    reason: failed ? (refusal?.code ?? String(reply.statusCode)) : null,
    incident: refusal?.incident ?? null,
    details: detailsOf({
      ...auditDetails,
      query,
      effects,
      leftOut: auditScope?.leftOut === 0 ? null : auditScope?.leftOut,
    }),
  };
}

function detailsOf(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | null {
  const there = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  return there.length === 0 ? null : Object.fromEntries(there);
}

/** Somebody was not let in, or may not ask this; a refused change has an entry of its own. A flood of one address is a few entries and a number. */
export function auditRefusal({ audit }: Pick<ApiPorts, "audit">, request: FastifyRequest, code: string): void {
  // Who logs in is told with his reason by the route itself.
  if (request.routeOptions.config.permission === "public") return;
  if (request.actor !== null && nameOfChange(request) !== null) return;
  const { url } = request.routeOptions;
  audit.refused(request.ip, {
    actor: request.actor?.identity ?? { kind: "stranger" },
    address: request.ip,
    action: "auth.refuse",
    target: url === undefined ? null : `${request.method} ${url}`,
    outcome: "refused",
    reason: code,
  });
}
