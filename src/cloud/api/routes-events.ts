/** Messages by the clock and by HTTP: `schedules`, `endpoints`, and the doors of the endpoints themselves (`/in/NAME`). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { LIMITS, isTidewireError } from "../../base/mod.ts";
import type { JsonObject } from "../../base/mod.ts";
import type { EndpointForm } from "../events/mod.ts";
import { readBytes } from "./aws/bodies.ts";
import { notFound } from "./errors.ts";
import type { ApiPorts } from "./ports.ts";

const READS = { permission: "rules:read" } as const;
const WRITES = { permission: "rules:write" } as const;
const params = z.strictObject({ name: z.string().min(1).max(128) });

export function eventRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { schedules, endpoints } = ports;
  documentRoutes(app, ports, "schedule", () => ({ schedules: schedules.list() }));
  documentRoutes(app, ports, "endpoint", () => ({ endpoints: endpoints.list() }));
}

function documentRoutes(
  app: FastifyInstance,
  { configuration }: ApiPorts,
  kind: "schedule" | "endpoint",
  list: () => object,
): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const path = `/api/${kind}s`;
  const one = `${path}/:name`;
  routes.get(path, { config: READS }, async () => list());
  routes.get(one, { config: READS, schema: { params } }, async (request): Promise<JsonObject> => {
    const { name } = request.params;
    const found = configuration.shown(kind, name);
    if (found === null) throw notFound(kind, name);
    return found;
  });
  // The body is checked by the kind, whose faults name the key.
  routes.put(one, { config: WRITES, schema: { params } }, async (request): Promise<JsonObject> => {
    configuration.put(kind, request.params.name, request.body);
    return configuration.shown(kind, request.params.name)!;
  });
  routes.delete(one, { config: WRITES, schema: { params } }, async (request, reply) => {
    configuration.delete(kind, request.params.name);
    return reply.code(204).send();
  });
}

/** Open to everybody who has the endpoint's token. */
export function doorRoutes(app: FastifyInstance, { endpoints, audit }: ApiPorts): void {
  void app.register(async (scope) => {
    readBytes(scope);
    const routes = scope.withTypeProvider<ZodTypeProvider>();
    const config = { permission: "public", audit: false } as const;

    routes.get("/in/:name", { config, schema: { params } }, async (request, reply) => {
      const form = endpoints.form(request.params.name);
      if (form === null) throw notFound("form", request.params.name);
      return page(reply, formPage(request.params.name, form));
    });

    const bodyLimit = LIMITS.events.payloadBytesMax;
    routes.post("/in/:name", { config, bodyLimit, schema: { params } }, async (request, reply) => {
      const { name } = request.params;
      try {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        const contentType = request.headers["content-type"] ?? "";
        const topic = await endpoints.receive(name, { body, contentType, token: tokenOf(request) });
        void reply.header("cache-control", "no-store");
        if (!wantsPage(request)) return { topic };
        return page(reply, `<p>Sent.</p><p><a href="/in/${escaped(name)}">Another one</a></p>`);
      } catch (error) {
        if (isTidewireError(error) && error.code === "UNAUTHORIZED") {
          const stranger = { actor: { kind: "stranger" }, address: request.ip, outcome: "refused" } as const;
          audit.refused(request.ip, { ...stranger, action: "endpoint.refuse", target: name, reason: error.code });
        }
        throw error;
      }
    });
  });
}

function tokenOf({ headers }: FastifyRequest): string | null {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1] ?? null;
}

function wantsPage({ headers }: FastifyRequest): boolean {
  return (headers.accept ?? "").includes("text/html");
}

function page(reply: FastifyReply, body: string): FastifyReply {
  const head =
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">';
  return reply
    .type("text/html; charset=utf-8")
    .header("cache-control", "no-store")
    .send(`${head}<title>Tidewire</title>${body}`);
}

function formPage(name: string, { title, fields }: EndpointForm): string {
  const inputs = fields.map((field) => `<p><label>${escaped(field)}<br><input name="${escaped(field)}"></label></p>`);
  const token =
    '<p><label>token<br><input name="token" type="password" autocomplete="current-password" required></label></p>';
  return `<h1>${escaped(title === "" ? name : title)}</h1><form method="post">${inputs.join("")}${token}<p><button>Send</button></p></form>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);
}
