/** AWS IoT's REST operations: a file per resource, and for what is not here an answer that says so by its name. */
import type { FastifyInstance } from "fastify";
import type { ApiPorts } from "../ports.ts";
import { caCertificateRoutes } from "./authorities.ts";
import { authorizationRoutes } from "./authorization.ts";
import { readAnyJson } from "./bodies.ts";
import { certificateRoutes } from "./certificates.ts";
import { connectionRoutes } from "./connections.ts";
import { endpointRoutes } from "./endpoint.ts";
import { groupRoutes } from "./groups.ts";
import { messageRoutes } from "./messages.ts";
import { policyRoutes } from "./policies.ts";
import { provisioningRoutes } from "./provisioning.ts";
import { registrationTaskRoutes } from "./registration-tasks.ts";
import { ruleRoutes } from "./rules.ts";
import { searchRoutes } from "./search.ts";
import { shadowRoutes } from "./shadows.ts";
import { tagRoutes } from "./tags.ts";
import { thingRoutes } from "./things.ts";
import { thingTypeRoutes } from "./types.ts";

const RESOURCES = [
  thingRoutes,
  thingTypeRoutes,
  groupRoutes,
  certificateRoutes,
  caCertificateRoutes,
  policyRoutes,
  authorizationRoutes,
  provisioningRoutes,
  registrationTaskRoutes,
  ruleRoutes,
  searchRoutes,
  tagRoutes,
  endpointRoutes,
  connectionRoutes,
];

/** To be registered within a scope of its own: bodies are read differently in it. */
export async function awsRoutes(scope: FastifyInstance, ports: ApiPorts): Promise<void> {
  readAnyJson(scope);
  for (const add of RESOURCES) add(scope, ports);
  await scope.register(async (raw) => messageRoutes(raw, ports));
  await scope.register(async (raw) => shadowRoutes(raw, ports));
}
