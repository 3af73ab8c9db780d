/** Schemas of topics: one by one; all together they are documents like rules (`routes-files.ts`). */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { encodeUtf8 } from "../../base/mod.ts";
import type { SchemaSummary, SchemaTest, SchemaView } from "./contract.ts";
import { notFound } from "./errors.ts";
import type { ApiPorts } from "./ports.ts";

const READS = { permission: "rules:read" } as const;
const WRITES = { permission: "rules:write" } as const;
const params = z.strictObject({ name: z.string().min(1).max(128) });
const payload = z.strictObject({ payload: z.string() });

export function schemaRoutes(app: FastifyInstance, { configuration, schemas }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const found = <T>(name: string, value: T | undefined): T => {
    if (value === undefined) throw notFound("schema", name);
    return value;
  };

  routes.get("/api/schemas", { config: READS }, async (): Promise<{ readonly schemas: readonly SchemaSummary[] }> => ({
    schemas: schemas.list(),
  }));

  routes.get("/api/schemas/:name", { config: READS, schema: { params } }, async (request): Promise<SchemaView> => {
    const { name } = request.params;
    return found(name, schemas.view(name));
  });

  // The body is checked by the kind, whose faults name the key.
  routes.put("/api/schemas/:name", { config: WRITES, schema: { params } }, async (request): Promise<SchemaView> => {
    const { name } = request.params;
    configuration.put("schema", name, request.body);
    return schemas.view(name)!;
  });

  routes.delete("/api/schemas/:name", { config: WRITES, schema: { params } }, async ({ params: { name } }, reply) => {
    configuration.delete("schema", name);
    return reply.code(204).send();
  });

  const testing = { config: { ...READS, audit: false }, schema: { params, body: payload } } as const;
  routes.post("/api/schemas/:name/test", testing, async ({ params: { name }, body }): Promise<SchemaTest> =>
    found(name, schemas.test(name, encodeUtf8(body.payload))),
  );
}
