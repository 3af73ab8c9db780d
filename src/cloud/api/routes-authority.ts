/** The CAs: what there is, new ones in the old ones' place, revoked and expiring certificates. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { TidewireError, days } from "../../base/mod.ts";
import type { RevocationList } from "../../adapters/pki/mod.ts";
import type { ApiPorts } from "./ports.ts";

const POLICIES_READ = { permission: "policies:read" } as const;
const POLICIES_WRITE = { permission: "policies:write" } as const;
const READ = { permission: "certificates:read" } as const;
const WRITE = { permission: "certificates:write" } as const;
const PUBLIC = { permission: "public" } as const;

const DAYS_MAX = 3650;
const Within = z.object({ days: z.coerce.number().int().min(1).max(DAYS_MAX).default(14) });
const Readmission = z.strictObject({ days: z.number().int().min(1).max(90).default(7) });
const Enrolment = z.strictObject({ thing: z.string().regex(/^[a-zA-Z0-9:_-]{1,128}$/, "must be a thing's name") });

export function authorityRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { desk, clock } = ports;
  app.get("/api/authority", { config: POLICIES_READ }, async () => desk.status());
  const change = (path: string, work: () => Promise<void>): void => {
    app.post(path, { config: POLICIES_WRITE }, async () => {
      await work();
      return desk.status();
    });
  };
  change("/api/authority/rollover-issuing", () => desk.rolloverIssuer());
  change("/api/authority/rollover-root", () => desk.rolloverRoot());
  change("/api/authority/retire", () => desk.retireFormer());

  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.get("/api/certificates/expiring", { config: READ, schema: { querystring: Within } }, async (request) => {
    const census = await ports.census.take();
    const until = clock.now() + days(request.query.days);
    const listed = census.soonest.filter(({ notAfter }) => notAfter <= until);
    return {
      overdue: census.overdue,
      expired: census.expired,
      within: Object.fromEntries(census.within),
      certificates: listed.map(({ certificateId, notBefore, notAfter, issuer }) => ({
        certificateId,
        things: ports.registry.things.ofPrincipal(certificateId).map(({ thingName }) => thingName),
        issuer: issuer["CommonName"]?.[0] ?? null,
        notBefore,
        notAfter,
        isOver: notAfter <= clock.now(),
      })),
    };
  });

  const params = z.strictObject({ certificateId: z.string().max(256) });
  routes.post(
    "/api/certificates/:certificateId/readmission",
    { config: WRITE, schema: { params, body: Readmission } },
    async (request) => {
      const until = clock.now() + days(request.body.days);
      ports.renewals.readmit(request.params.certificateId, until);
      return { until };
    },
  );

  routes.post("/api/enrolment-codes", { config: WRITE, schema: { body: Enrolment } }, async (request) =>
    ports.enrolment.codes.issue(request.body.thing),
  );
}

/** For everybody, as RFC 5280 means it: who checks a certificate of ours has no login here. */
export function revocationRoutes(app: FastifyInstance, { desk }: Pick<ApiPorts, "desk">): void {
  const TYPE = "application/pkix-crl"; // RFC 2585
  app.get("/crl", { config: PUBLIC }, async (_request, reply) =>
    reply.type(TYPE).send(Buffer.from((await desk.revocationLists())[0]!.der)),
  );
  app.get("/crl.pem", { config: PUBLIC }, async (_request, reply) => {
    const lists = await desk.revocationLists();
    return reply.type("application/x-pem-file").send(lists.map(({ pem }) => pem).join(""));
  });
  app.get<{ Params: { keyId: string } }>("/crl/:keyId", { config: PUBLIC }, async (request, reply) => {
    const { keyId } = request.params;
    const found = (await desk.revocationLists()).find((list: RevocationList) => list.keyId === keyId);
    if (found === undefined) throw new TidewireError("NOT_FOUND", { kind: "CA", name: keyId.slice(0, 64) });
    return reply.type(TYPE).send(Buffer.from(found.der));
  });
}
