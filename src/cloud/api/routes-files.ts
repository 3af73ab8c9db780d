/** Configuration as documents: what runs, what a change would do, and the change, if what runs is still what was compared. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { AuditEntry } from "../../audit/mod.ts";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { JsonObject } from "../../base/mod.ts";
import { actorOf, demandPermission } from "./actor.ts";
import type { ConfigurationPlan, ConfigurationView } from "./contract.ts";
import type { ApiPorts } from "./ports.ts";

const READS = { permission: "rules:read" } as const;
// Each document has an entry of its own in the audit log; this one is for what was refused, too.
const WRITES = { permission: "rules:write", audit: "configuration.apply" } as const;

const Document = z.strictObject({
  kind: z.string().max(64),
  name: z.string().max(256),
  // Each kind checks its own, and its faults name the key.
  document: z.custom<JsonObject>((value) => typeof value === "object" && value !== null && !Array.isArray(value)),
});
const Request = z.strictObject({
  documents: z.array(Document).max(LIMITS.files.documentsMax),
  prune: z.boolean().optional(),
});

const bodyLimit = LIMITS.files.changeBytesMax;

export function filesRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const { configuration } = ports;
  /** What devices may do is another permission than what rules do. */
  const planFor = (
    request: FastifyRequest<{ Body: z.infer<typeof Request> }>,
    permission: "policies:read" | "policies:write",
  ): ConfigurationPlan => {
    const plan = configuration.plan(request.body);
    if (plan.changes.some(({ kind }) => kind === "policy")) demandPermission(actorOf(request), permission);
    return plan;
  };

  routes.get("/api/configuration", { config: READS }, async (request, reply): Promise<ConfigurationView> => {
    const { revision, documents } = configuration.view();
    void reply.header("etag", `"${revision}"`);
    const mayReadPolicies = actorOf(request).permissions.has("policies:read");
    return { revision, documents: documents.filter(({ kind }) => kind !== "policy" || mayReadPolicies) };
  });

  routes.post(
    "/api/configuration/plan",
    { config: READS, bodyLimit, schema: { body: Request } },
    async (request): Promise<ConfigurationPlan> => planFor(request, "policies:read"),
  );

  routes.put(
    "/api/configuration",
    { config: WRITES, bodyLimit, schema: { body: Request } },
    async (request, reply): Promise<ConfigurationPlan> => {
      const revision = wantedRevision(request);
      if (revision !== null && !configuration.isCurrent(revision)) {
        throw new TidewireError("CONFIGURATION_CHANGED", { changes: await changesSince(ports, revision) });
      }
      planFor(request, "policies:write");
      const plan = configuration.apply(request.body, revision);
      await noteChanges(ports, request, plan);
      void reply.header("etag", `"${plan.revision}"`);
      return plan;
    },
  );
}

/** Null: whatever runs. */
function wantedRevision({ headers }: FastifyRequest): string | null {
  const given = headers["if-match"];
  if (given === "*") return null;
  const match = /^"?([0-9a-f]{24}\.[0-9a-z]{1,12})"?$/.exec(given ?? "");
  if (match === null) {
    const reason = "the header If-Match must have the revision that was compared, or * for whatever runs";
    throw new TidewireError("REQUEST_INVALID", { reason });
  }
  return match[1]!;
}

/** One entry per document, written together. */
async function noteChanges(
  { audit }: ApiPorts,
  request: FastifyRequest,
  { changes }: ConfigurationPlan,
): Promise<void> {
  const by = { actor: actorOf(request).identity, address: request.ip, outcome: "ok" } as const;
  await Promise.all(
    changes.map(({ kind, name, change }) => audit.commit({ ...by, action: `${kind}.${change}`, target: name })),
  );
}

const CHANGES =
  /^(?:(?:POST|PATCH|PUT|DELETE) (?:\/api)?\/(?:rules|schemas|schedules|endpoints|policies)\/|\w+\.(?:create|update|delete)$)/;
const KINDS = /^(?:rule|schema|schedule|endpoint|alerts|policy)\./;
/** The newest of the log; changes are among many other entries. */
const ENTRIES_LOOKED_AT = 1_000;

/** Who did what since the revision was seen, as far as the audit log tells. */
async function changesSince({ auditSearch }: ApiPorts, revision: string): Promise<string> {
  const since = Number.parseInt(revision.split(".")[1]!, 36);
  const { entries } = await auditSearch({ since, outcome: "ok", limit: ENTRIES_LOOKED_AT });
  const made = entries.filter(({ action }) => CHANGES.test(action) && (action.includes("/") || KINDS.test(action)));
  if (made.length === 0) return "the audit log does not say by whom";
  const { changesToldMax } = LIMITS.files;
  const told = made.slice(0, changesToldMax).map(describe);
  const more = made.length - told.length;
  return told.join("; ") + (more === 0 ? "" : `; and ${more} more`);
}

function describe({ actor, action, target, time }: AuditEntry): string {
  const { kind, user, name, owner } = actor;
  const who = user ?? (name === undefined ? (kind === "token" ? "the platform's token" : kind) : `key ${name}`);
  const of = owner === undefined || owner === null ? "" : ` of ${owner}`;
  return `${who}${of} at ${new Date(time).toISOString()}: ${action} ${target ?? ""}`.trimEnd();
}
