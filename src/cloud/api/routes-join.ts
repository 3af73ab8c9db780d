/** Join codes: made by operators; and the two public questions of a device that has nothing but a code. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, JOIN_SECRET_BYTES, TidewireError } from "../../base/mod.ts";
import type { JoinOffer } from "../../identity/mod.ts";
import type { ApiPorts } from "./ports.ts";
import { ThingName } from "./schemas.ts";

const Invite = z.strictObject({
  thing: ThingName.optional(),
  template: z.string().max(64).optional(),
  parameters: z.record(z.string(), z.string()).optional(),
  validSeconds: z.int().min(1).optional(),
  uses: z.int().min(1).optional(),
});
const Join = z.strictObject({
  secret: z.string().max(64),
  publicKey: z.string().max(8192),
  proof: z.string().max(2048),
});

const WRITES = { permission: "certificates:write" } as const;
const READS = { permission: "certificates:read" } as const;

export function joinCodeRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const { joining, templates } = ports.provisioning;

  routes.post("/api/join-codes", { config: WRITES, schema: { body: Invite } }, async ({ body }) => {
    const { validSeconds, uses } = body;
    const offer = offerOf(body);
    if (offer.kind === "template") templates.describe(offer.template);
    const validFor = validSeconds === undefined ? undefined : validSeconds * 1000;
    return joining.codes.create({ offer, validFor, uses });
  });

  routes.get("/api/join-codes", { config: READS }, async () => ({
    codes: joining.codes.list().map(({ offer, usesLeft, createdAt, expiresAt, joined }) => {
      const things = joined.map(({ thing }) => thing);
      return { offer, usesLeft, createdAt, expiresAt, joined: things };
    }),
  }));
}

/** Outside of the guard: whoever asks has no login, and what he is told is no secret, or his code opens it. */
export function joinRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const { joining } = ports.provisioning;
  const config = {
    permission: "public",
    rateLimit: { max: LIMITS.http.loginsPerMinuteMax * 10, timeWindow: "1 minute" },
  } as const;

  routes.get("/api/join/trust", { config }, async () => ({ caPem: joining.caPem }));

  routes.post("/api/join", { config, schema: { body: Join } }, async ({ body, ip }, reply) => {
    const secret = Buffer.from(body.secret, "hex");
    if (secret.length !== JOIN_SECRET_BYTES)
      throw new TidewireError("JOIN_CODE_INVALID", { reason: "it has the wrong length" });
    const joined = await joining.join({ secret, publicKey: body.publicKey, proof: body.proof }, ip);
    const { mqtts } = ports.connection();
    void reply.header("cache-control", "no-store");
    return { ...joined, mqttsPort: Number(mqtts.slice(mqtts.lastIndexOf(":") + 1)) };
  });
}

function offerOf({ thing, template, parameters = {} }: z.infer<typeof Invite>): JoinOffer {
  if (thing !== undefined && template === undefined) return { kind: "thing", thing };
  if (template !== undefined && thing === undefined) return { kind: "template", template, parameters };
  throw new TidewireError("REQUEST_INVALID", { reason: "a join code is for a thing, or for a template" });
}
