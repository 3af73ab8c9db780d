/** Where devices and their SDKs find the platform. */
import type { FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import type { ApiPorts } from "../ports.ts";
import { READS_FLEET } from "./fields.ts";

const MQTT = ["iot:Data", "iot:Data-ATS", "iot:Data-Beta"] as const;
const HTTPS = ["iot:CredentialProvider", "iot:Jobs"] as const;
const Types = z.object({ endpointType: z.enum([...MQTT, ...HTTPS]).default("iot:Data-ATS") });
/** The ports that AWS's SDKs take by themselves. */
const MQTT_PORT = "8883";

export function endpointRoutes(app: FastifyInstance, { connection }: ApiPorts): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  // The name under which the caller reached us is one that he can reach; a port is told only where it is not the usual one.
  routes.get("/endpoint", { config: READS_FLEET, schema: { querystring: Types } }, async (request) => {
    const { endpointType } = request.query;
    if ((HTTPS as readonly string[]).includes(endpointType)) return { endpointAddress: request.host };
    const { port } = new URL(connection().mqtts);
    return { endpointAddress: port === MQTT_PORT ? request.hostname : `${request.hostname}:${port}` };
  });
}
