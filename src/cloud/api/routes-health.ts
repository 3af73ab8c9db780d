/** Health and metrics. `/healthz` and `/readyz` need no login, and say nothing that a stranger may not know. */
import type { FastifyInstance } from "fastify";
import { guard } from "./guard.ts";
import type { ApiPorts } from "./ports.ts";

const PUBLIC = { permission: "public" } as const;

export function healthRoutes(app: FastifyInstance, ports: ApiPorts): void {
  app.get("/healthz", { config: PUBLIC }, async (_request, reply) => reply.type("text/plain").send("ok\n"));

  app.get("/readyz", { config: PUBLIC }, async (_request, reply) => {
    const { state } = ports.health();
    return reply.code(state === "failed" ? 503 : 200).send({ state });
  });

  void app.register(async (scope) => {
    guard(scope, ports);
    scope.get("/api/health", { config: { permission: "health:read" } }, async () => ports.health());
    scope.get("/metrics", { config: { permission: "metrics:read" } }, async (_request, reply) => {
      return reply.type(ports.metrics.contentType).send(await ports.metrics.render());
    });
  });
}
