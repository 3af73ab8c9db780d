/** The HTTP server: one Fastify application behind a plain listener on loopback and a TLS listener for everybody else. */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import helmet from "@fastify/helmet";
import rateLimit from "@fastify/rate-limit";
import fastifyStatic from "@fastify/static";
import websocket from "@fastify/websocket";
import Fastify from "fastify";
import type { FastifyInstance } from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import { guard } from "./guard.ts";
import { sendError, tidewireErrorOf } from "./errors.ts";
import { LiveHub } from "./live.ts";
import type { ApiPorts } from "./ports.ts";
import { alertRoutes } from "./routes-alerts.ts";
import { certificateRoutes } from "./routes-certificates.ts";
import { fleetRoutes } from "./routes-fleet.ts";
import { healthRoutes } from "./routes-health.ts";
import { ruleRoutes } from "./routes-rules.ts";
import { seriesRoutes } from "./routes-series.ts";
import { sessionRoutes } from "./routes-session.ts";
import { thingRoutes } from "./routes-things.ts";

export interface ApiServer {
  /** The application itself, for tests without sockets (`app.inject`). */
  readonly app: FastifyInstance;
  readonly live: LiveHub;
  listen(options: ListenOptions): Promise<{ readonly httpPort: number; readonly httpsPort: number }>;
  /** Replaces the server certificate; connections stay. */
  reloadTls(tls: ServerTls): void;
  close(): Promise<void>;
}

export interface ServerTls {
  readonly key: string;
  readonly cert: string;
}

export interface ListenOptions {
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Address of the TLS listener; the plain one never leaves loopback. */
  readonly bind: string;
  readonly tls: ServerTls;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export async function buildApi(ports: ApiPorts): Promise<ApiServer> {
  let handler: Handler = () => {};
  const plain = createServer((request, response) => handler(request, response));
  const app = Fastify({
    bodyLimit: LIMITS.http.bodyBytesMax,
    routerOptions: { maxParamLength: 512 },
    serverFactory: (given: Handler) => {
      handler = given;
      return plain;
    },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => {
    const ours = tidewireErrorOf(error);
    if (ours.entry.fault === "bug") {
      ports.logger.error("A request failed unexpectedly.", { method: request.method, url: request.url, error });
    }
    return sendError(reply, ours);
  });
  app.setNotFoundHandler((request, reply) =>
    sendError(reply, new TidewireError("NOT_FOUND", { kind: "page", name: request.url.split("?")[0] }), 404),
  );
  await addPlugins(app, ports);
  const hub = new LiveHub(ports);
  app.addHook("onClose", () => hub.close());
  await app.register(async (scope) => {
    guard(scope, ports);
    for (const routes of [thingRoutes, certificateRoutes, ruleRoutes, fleetRoutes, seriesRoutes, alertRoutes]) {
      routes(scope, ports);
    }
    hub.routes(scope);
  });
  sessionRoutes(app, ports);
  healthRoutes(app, ports);
  await app.ready();
  return new Listening(app, hub, plain, (request, response) => handler(request, response));
}

async function addPlugins(app: FastifyInstance, ports: ApiPorts): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      // The same as test/browser/fake-platform.ts serves under; the browser tests fail on any violation.
      directives: {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "connect-src": ["'self'"],
        "font-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
      },
    },
    // A platform with a private CA must stay reachable by plain HTTP on loopback.
    strictTransportSecurity: false,
  });
  await app.register(rateLimit, { global: true, max: LIMITS.http.requestsPerMinuteMax, timeWindow: "1 minute" });
  await app.register(websocket, { options: { maxPayload: 64 * 1024 } });
  await app.register(fastifyStatic, {
    root: ports.webRoot,
    index: ["index.html"],
    setHeaders: (reply, path) => {
      // File names carry a hash of their content, all but the page itself.
      void reply.header("cache-control", path.endsWith(".html") ? "no-cache" : "public, max-age=31536000, immutable");
    },
  });
}

class Listening implements ApiServer {
  readonly app: FastifyInstance;
  readonly live: LiveHub;
  readonly #plain: Server;
  readonly #handler: Handler;
  #tls: TlsServer | null = null;
  readonly #sockets = new Set<Socket>();

  constructor(app: FastifyInstance, live: LiveHub, plain: Server, handler: Handler) {
    this.app = app;
    this.live = live;
    this.#plain = plain;
    this.#handler = handler;
  }

  async listen(options: ListenOptions): Promise<{ httpPort: number; httpsPort: number }> {
    const tls = createTlsServer({ ...options.tls, minVersion: "TLSv1.2" }, this.#handler);
    // WebSocket upgrades of both listeners are answered where the plugin listens.
    tls.on("upgrade", (request, socket, head) => this.#plain.emit("upgrade", request, socket, head));
    this.#tls = tls;
    for (const server of [this.#plain, tls]) {
      server.on("connection", (socket: Socket) => {
        this.#sockets.add(socket);
        socket.once("close", () => this.#sockets.delete(socket));
      });
    }
    const httpPort = await listenOn(this.#plain, "127.0.0.1", options.httpPort, "HTTP", "--http-port");
    const httpsPort = await listenOn(tls, options.bind, options.httpsPort, "HTTPS", "--https-port");
    return { httpPort, httpsPort };
  }

  reloadTls(tls: ServerTls): void {
    this.#tls?.setSecureContext({ ...tls, minVersion: "TLSv1.2" });
  }

  async close(): Promise<void> {
    const closed = [this.#plain, this.#tls].map(
      (server) =>
        new Promise<void>((resolve) => (server?.listening === true ? server.close(() => resolve()) : resolve())),
    );
    await this.app.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }
}

function listenOn(
  server: Server | TlsServer,
  host: string,
  port: number,
  listener: string,
  option: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") reject(new TidewireError("PORT_IN_USE", { host, port, listener, option }));
      else if (error.code === "EACCES") {
        reject(new TidewireError("PORT_FORBIDDEN", { host, port, listener, option, reason: error.message }));
      } else reject(error);
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}
