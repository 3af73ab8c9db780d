/** What AWS IoT has and we have not: an answer that names the operation, so that nobody looks for a misspelt address. */
import type { FastifyInstance } from "fastify";
import { TidewireError } from "../../../base/mod.ts";
import { AWS_OPERATIONS } from "./operations.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    notImplemented?: true;
  }
}

interface Served {
  readonly method: string;
  readonly url: string;
}

/** To be called when everything else is served. */
export function refuseOtherOperations(scope: FastifyInstance, served: readonly Served[]): void {
  const known = new Set(served.map(({ method, url }) => `${method} ${shapeOf(url)}`));
  // AWS has two operations at one address, on two hosts.
  const places = Map.groupBy(AWS_OPERATIONS, ([, method, path]) => `${method} ${shapeOf(path)}`);
  for (const [place, operations] of places) {
    if (known.has(place)) continue;
    const [, method, path] = operations[0]!;
    const operation = [...new Set(operations.map(([name]) => name))].join(", ");
    scope.route({
      method,
      url: path.replaceAll(/\{(\w+)\}/g, ":$1").replaceAll(/\{\w+\+\}/g, "*"),
      config: { permission: "account", notImplemented: true },
      schema: { hide: true },
      // Before a body is read: there is nothing that it could be for.
      preParsing: async () => {
        throw new TidewireError("NOT_IMPLEMENTED", { operation });
      },
      handler: async () => {},
    });
  }
}

/** Two addresses are the same whatever their parameters are called; a topic may have slashes, so it is the rest. */
export function shapeOf(path: string): string {
  return path.replaceAll(/\{\w+\+?\}|:\w+|\*/g, "*");
}
