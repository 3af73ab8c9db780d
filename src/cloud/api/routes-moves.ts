/** Rules that move to another platform with their state. What travels has the rule's secrets: it is for administrators. */
import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS } from "../../base/mod.ts";
import { MOVE_MEDIA_TYPE } from "../moves/mod.ts";
import type { ApiPorts } from "./ports.ts";

const params = z.strictObject({ ruleName: z.string().max(128) });
const moveId = z.string().regex(/^[0-9A-Za-z_-]{1,64}$/);
const Departure = z.strictObject({
  /** Where it goes, for people and for asking again. */
  to: z.string().min(1).max(512),
  overlap: z.int().min(0).max(LIMITS.moves.overlapMax).default(LIMITS.moves.overlap),
});

const config = (audit: string) => ({ permission: "platform:write", audit }) as const;

export function moveRoutes(app: FastifyInstance, { mover }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  app.addContentTypeParser(MOVE_MEDIA_TYPE, { parseAs: "buffer" }, (_request, body, done) => done(null, body));

  routes.post(
    "/api/rules/:ruleName/departure",
    { config: config("rules.move.leave"), schema: { params, body: Departure } },
    async ({ params: { ruleName }, body }) => mover.depart(ruleName, body),
  );

  routes.delete(
    "/api/rules/:ruleName/departure",
    { config: config("rules.move.back"), schema: { params } },
    async ({ params: { ruleName } }) => {
      await mover.takeBack(ruleName);
      return {};
    },
  );

  routes.post(
    "/api/rules/:ruleName/departure/done",
    { config: config("rules.move.done"), schema: { params, body: z.strictObject({ move: moveId }) } },
    async ({ params: { ruleName }, body: { move } }) => {
      mover.confirm(ruleName, move);
      return {};
    },
  );

  routes.get(
    "/api/rules/:ruleName/state",
    { config: config("rules.state.export"), schema: { params } },
    async ({ params: { ruleName } }, reply) => {
      const lines = mover.lines(ruleName);
      const first = await lines.next(); // what is wrong is answered as an error, not in mid-stream
      const all = async function* (): AsyncGenerator<string> {
        if (first.done !== true) yield first.value;
        yield* lines;
      };
      return reply.type(MOVE_MEDIA_TYPE).send(Readable.from(all()));
    },
  );

  routes.put(
    "/api/rules/:ruleName/state",
    {
      config: config("rules.state.import"),
      schema: { params, body: z.instanceof(Uint8Array) },
      bodyLimit: LIMITS.moves.fileBytesMax,
    },
    async ({ params: { ruleName }, body }) => mover.arrive(ruleName, body),
  );

  routes.delete(
    "/api/rules/:ruleName/state",
    { config: config("rules.state.refuse"), schema: { params, querystring: z.strictObject({ move: moveId }) } },
    async ({ params: { ruleName }, query: { move } }) => {
      mover.refuse(ruleName, move);
      return {};
    },
  );
}
