/** Pictures of alerts: for who is logged in, and by a signed link for chat services, which are not. */
import type { FastifyInstance, FastifyReply } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { TidewireError } from "../../base/mod.ts";
import type { ApiPorts } from "./ports.ts";

const READS = { permission: "alerts:read" } as const;
const params = z.strictObject({ id: z.string().min(1).max(1024) });
const Moment = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const Signed = z.strictObject({ at: Moment, until: Moment, key: z.string().max(100) });

export function pictureRoutes(app: FastifyInstance, { pictures, clock }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.get(
    "/api/alerts/:id/picture.svg",
    { config: READS, schema: { params } },
    async ({ params: { id } }, reply) => {
      const svg = await pictures.svg(id);
      return reply.type("image/svg+xml").send(svg ?? nothingToShow(id));
    },
  );
  routes.get("/api/alerts/:id/picture.png", { config: READS, schema: { params } }, async ({ params: { id } }, reply) =>
    sendPng(reply, (await pictures.png(id, clock.now())) ?? nothingToShow(id)),
  );
}

/** Outside of what is guarded: whoever has the link has its key. */
export function linkedPictureRoutes(app: FastifyInstance, { pictures }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const config = { permission: "public" } as const;
  routes.get(
    "/pictures/:id/chart.png",
    { config, schema: { params, querystring: Signed } },
    async ({ params: { id }, query }, reply) => {
      const png = (await pictures.linked({ alert: id, ...query })) ?? nothingToShow(id);
      // The same for ever: it shows what was known then.
      void reply
        .header("cache-control", "private, max-age=86400")
        .header("cross-origin-resource-policy", "cross-origin");
      return sendPng(reply, png);
    },
  );
}

function sendPng(reply: FastifyReply, png: Uint8Array): FastifyReply {
  return reply.type("image/png").send(Buffer.from(png));
}

function nothingToShow(id: string): never {
  throw new TidewireError("NOT_FOUND", { kind: "picture of an alert", name: id });
}
