/** The HTTP server: one Fastify application behind a plain listener on loopback and a TLS listener for everybody else. */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import { join } from "node:path";
import helmet from "@fastify/helmet";
import rateLimit from "@fastify/rate-limit";
import fastifyStatic from "@fastify/static";
import swagger from "@fastify/swagger";
import websocket from "@fastify/websocket";
import Fastify from "fastify";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { LIMITS, TidewireError, seconds } from "../../base/mod.ts";
import { apiErrorOf, incidentOf, publicErrorOf, sendError, tidewireErrorOf } from "./errors.ts";
import { guard, refuseStrangers } from "./guard.ts";
import { LiveHub } from "./live.ts";
import type { ApiPorts } from "./ports.ts";
import { ResponseMetrics } from "./response-metrics.ts";
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
  /** Everything that is served. */
  readonly routes: readonly ApiRoute[];
  listen(options: ListenOptions): Promise<{ readonly httpPort: number; readonly httpsPort: number }>;
  /** Replaces the server certificate; connections stay. */
  reloadTls(tls: ServerTls): void;
  close(): Promise<void>;
}

export interface ApiRoute {
  readonly method: string;
  /** Parameters as `:name`; the pages of the dashboard are one route, `/*`. */
  readonly url: string;
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

/** Node's own default is to wait for minutes; a listener's last descriptor is worth more. */
const PATIENCE = {
  headersTimeout: LIMITS.http.headersTimeout,
  requestTimeout: LIMITS.http.requestTimeout,
  keepAliveTimeout: LIMITS.http.keepAliveTimeout,
  connectionsCheckingInterval: seconds(2),
} as const;

const GUARDED = [thingRoutes, certificateRoutes, ruleRoutes, fleetRoutes, seriesRoutes, alertRoutes];

export async function buildApi(ports: ApiPorts): Promise<ApiServer> {
  let handler: Handler = () => {};
  const plain = createServer(PATIENCE, (request, response) => handler(request, response));
  const app = Fastify({
    bodyLimit: LIMITS.http.bodyBytesMax,
    // An ARN, or the id of an alert, percent-encoded.
    routerOptions: { maxParamLength: 1024 },
    serverFactory: (given: Handler) => {
      handler = given;
      return plain;
    },
    // What the router refuses before there is a route, such as a broken percent-encoding.
    frameworkErrors: (error, _request, reply) => void sendError(reply, tidewireErrorOf(error)),
    clientErrorHandler: refuseMalformed,
  });
  const routes: ApiRoute[] = [];
  app.addHook("onRoute", ({ method, url }) => {
    for (const one of [method].flat()) routes.push({ method: one, url });
  });
  const responses = new ResponseMetrics(ports.metrics);
  app.addHook("onResponse", async (_request, reply) => responses.count(reply.statusCode));
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  answerErrors(app, ports, responses);
  refuseStrangers(app, ports.ownNames);
  await addPlugins(app, ports);
  const hub = new LiveHub(ports);
  await app.register(async (scope) => {
    guard(scope, ports);
    for (const add of GUARDED) add(scope, ports);
    scope.get("/api/openapi.json", async () => scope.swagger());
    hub.routes(scope);
  });
  sessionRoutes(app, ports);
  healthRoutes(app, ports);
  await app.ready();
  return new Listening({ app, live: hub, routes, plain, handler }, ports);
}

function answerErrors(app: FastifyInstance, ports: ApiPorts, responses: ResponseMetrics): void {
  app.setErrorHandler((error, request, reply) => {
    const ours = tidewireErrorOf(error);
    responses.countRefusal(ours);
    const incident = incidentOf(ports);
    if (ours.entry.fault === "bug") {
      const { method, routeOptions } = request;
      ports.logger.error("A request failed unexpectedly.", { incident, method, route: routeOptions.url, error });
    }
    return sendError(reply, publicErrorOf(ours, incident));
  });
  app.setNotFoundHandler((request) => {
    throw new TidewireError("NOT_FOUND", { kind: "page", name: request.url.split("?")[0]!.slice(0, 200) });
  });
}

/** Bytes that are no HTTP at all (or came too slowly) get an answer of ours as far as one can be given. */
function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  const slow = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  // Anything else broke below HTTP; a failed TLS handshake ends up here, too, and what were written would wait for it for ever.
  if (!socket.writable || !(slow || error.code?.startsWith("HPE_") === true)) {
    socket.destroy();
    return;
  }
  const large = error.code === "HPE_HEADER_OVERFLOW";
  const reason = slow ? "it came too slowly" : large ? "its headers are too large" : "it is no HTTP";
  const status = slow ? "408 Request Timeout" : large ? "431 Request Header Fields Too Large" : "400 Bad Request";
  const body = JSON.stringify(apiErrorOf(new TidewireError("REQUEST_INVALID", { reason })));
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
  socket.end(head + body, () => socket.destroy());
}

/** Nothing inline, nothing from elsewhere. */
const PAGE_POLICY = {
  "default-src": ["'none'"],
  "script-src": ["'self'"],
  "style-src": ["'self'"],
  "img-src": ["'self'"],
  "connect-src": ["'self'"],
  "font-src": ["'none'"],
  "base-uri": ["'none'"],
  "form-action": ["'self'"],
  "frame-ancestors": ["'none'"],
};

async function addPlugins(app: FastifyInstance, ports: ApiPorts): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: PAGE_POLICY },
    // A platform with a private CA must stay reachable by plain HTTP on loopback.
    strictTransportSecurity: false,
    frameguard: { action: "deny" },
  });
  // Made when somebody asks for it; a start does not wait for it.
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Tidewire", version: ports.version },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  });
  await app.register(rateLimit, { global: true, max: LIMITS.http.requestsPerMinuteMax, timeWindow: "1 minute" });
  await app.register(websocket, { options: { maxPayload: LIMITS.http.liveFrameBytesMax } });
  await app.register(fastifyStatic, {
    root: ports.webRoot,
    index: ["index.html"],
    setHeaders: (reply, path) => {
      // The names below assets/ carry a hash of the content.
      const hashed = path.startsWith(join(ports.webRoot, "assets"));
      void reply.header("cache-control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
    },
  });
}

/** How long requests under way may take to end when the platform stops. */
const CLOSE_GRACE = seconds(1) / 2;

interface Built {
  readonly app: FastifyInstance;
  readonly live: LiveHub;
  readonly routes: readonly ApiRoute[];
  readonly plain: Server;
  readonly handler: Handler;
}

class Listening implements ApiServer {
  readonly app: FastifyInstance;
  readonly live: LiveHub;
  readonly routes: readonly ApiRoute[];
  readonly #plain: Server;
  readonly #handler: Handler;
  readonly #ports: Pick<ApiPorts, "logger" | "scheduler" | "metrics">;
  #tls: TlsServer | null = null;
  readonly #sockets = new Set<Socket>();

  constructor(built: Built, ports: ApiPorts) {
    this.app = built.app;
    this.live = built.live;
    this.routes = built.routes;
    this.#plain = built.plain;
    this.#handler = built.handler;
    this.#ports = ports;
  }

  async listen(options: ListenOptions): Promise<{ httpPort: number; httpsPort: number }> {
    const tlsOptions = { ...options.tls, ...PATIENCE, minVersion: "TLSv1.2", handshakeTimeout: seconds(10) } as const;
    const tls = createTlsServer(tlsOptions, this.#handler);
    tls.on("clientError", refuseMalformed);
    // WebSocket upgrades of both listeners are answered where the plugin listens.
    tls.on("upgrade", (request, socket, head) => this.#plain.emit("upgrade", request, socket, head));
    this.#tls = tls;
    this.#guardSockets(this.#plain, "HTTP");
    this.#guardSockets(tls, "HTTPS");
    const httpPort = await listenOn(this.#plain, "127.0.0.1", options.httpPort, "HTTP", "--http-port");
    const httpsPort = await listenOn(tls, options.bind, options.httpsPort, "HTTPS", "--https-port");
    return { httpPort, httpsPort };
  }

  #guardSockets(server: Server | TlsServer, listener: string): void {
    const { logger, metrics } = this.#ports;
    const refused = metrics.counter({
      name: "tidewire_http_connections_refused_total",
      help: "HTTP connections that were closed at once, because too many were open",
      labels: { listener },
    });
    server.maxConnections = LIMITS.http.connectionsMax;
    server.on("drop", () => refused.value++);
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    // Such as no descriptors left to accept with; unheard, it would end the process.
    server.on("error", (error) => {
      if (server.listening) logger.error("An HTTP listener has a problem.", { listener, reason: error.message });
    });
  }

  reloadTls(tls: ServerTls): void {
    this.#tls?.setSecureContext({ ...tls, minVersion: "TLSv1.2" });
  }

  async close(): Promise<void> {
    this.live.close();
    const servers = [this.#plain, this.#tls].filter((server) => server?.listening === true);
    const closed = servers.map((server) => new Promise<void>((resolve) => server!.close(() => resolve())));
    const cancel = this.#ports.scheduler.after(CLOSE_GRACE, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await Promise.all(closed);
    cancel();
    await this.app.close();
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
    const failed = (error: NodeJS.ErrnoException): void => {
      if (error.code === "EADDRINUSE") reject(new TidewireError("PORT_IN_USE", { host, port, listener, option }));
      else if (error.code === "EACCES") {
        reject(new TidewireError("PORT_FORBIDDEN", { host, port, listener, option, reason: error.message }));
      } else reject(error);
    };
    server.once("error", failed);
    server.listen(port, host, () => {
      server.removeListener("error", failed);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}
