/** The HTTP server: one Fastify application, for its plain listener on loopback and for what TLS listeners hand over. */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import helmet from "@fastify/helmet";
import rateLimit from "@fastify/rate-limit";
import fastifyStatic from "@fastify/static";
import swagger from "@fastify/swagger";
import websocket from "@fastify/websocket";
import Fastify from "fastify";
import type { FastifyInstance, RouteOptions } from "fastify";
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { LIMITS, TidewireError, seconds } from "../../base/mod.ts";
import type { Counter } from "../../base/mod.ts";
import type { RoutePermission } from "../../people/mod.ts";
import { refuseOtherOperations, shapeOf } from "./aws/not-implemented.ts";
import { AWS_OPERATIONS } from "./aws/operations.ts";
import { registrationReportRoutes } from "./aws/registration-tasks.ts";
import { awsRoutes } from "./aws/routes.ts";
import { apiErrorOf, incidentOf, publicErrorOf, sendError, tidewireErrorOf } from "./errors.ts";
import { auditChanges, auditRefusal } from "./audit-hooks.ts";
import { deviceRoutes } from "../est/routes.ts";
import { guard, refuseStrangers } from "./guard.ts";
import { LiveHub } from "./live.ts";
import type { ApiPorts } from "./ports.ts";
import { ResponseMetrics } from "./response-metrics.ts";
import { alertRoutes } from "./routes-alerts.ts";
import { deadLetterRoutes } from "./routes-dead-letters.ts";
import { moveRoutes } from "./routes-moves.ts";
import { authorityRoutes, revocationRoutes } from "./routes-authority.ts";
import { doorRoutes, eventRoutes } from "./routes-events.ts";
import { filesRoutes } from "./routes-files.ts";
import { fleetRoutes } from "./routes-fleet.ts";
import { forgetRoutes } from "./routes-forget.ts";
import { healthRoutes } from "./routes-health.ts";
import { bulkRoutes } from "./routes-bulk.ts";
import { auditRoutes } from "./routes-audit.ts";
import { peopleRoutes } from "./routes-people.ts";
import { joinCodeRoutes, joinRoutes } from "./routes-join.ts";
import { policyDeskRoutes } from "./routes-policies.ts";
import { linkedPictureRoutes, pictureRoutes } from "./routes-pictures.ts";
import { queryRoutes } from "./routes-query.ts";
import { refusalRoutes } from "./routes-refusals.ts";
import { passwordRoutes } from "./routes-passwords.ts";
import { retireRoutes } from "./routes-retire.ts";
import { ruleViewRoutes } from "./routes-rules.ts";
import { schemaRoutes } from "./routes-schemas.ts";
import { seriesRoutes } from "./routes-series.ts";
import { accountRoutes, sessionRoutes } from "./routes-session.ts";

export interface ApiServer {
  /** The application itself, for tests without sockets (`app.inject`). */
  readonly app: FastifyInstance;
  readonly live: LiveHub;
  /** Everything that is served; not AWS's operations that are only refused by name. */
  readonly routes: readonly ApiRoute[];
  /** Opens the plain listener, which never leaves loopback; returns its port. */
  listen(options: { readonly httpPort: number }): Promise<number>;
  /** Serves a connection that somebody else has accepted, such as a TLS listener. */
  take(socket: Socket): void;
  /** May be called twice. */
  close(): Promise<void>;
}

export interface ApiRoute {
  readonly method: string;
  /** Parameters as `:name`; the pages of the dashboard are one route, `/*`. */
  readonly url: string;
  /** Null where the route states none: it is closed to everybody. */
  readonly permission: RoutePermission | null;
}

/** Answers upgrades of connections before the API looks at them; false: they are the API's. */
export type TakeUpgrade = (request: IncomingMessage, socket: Socket, head: Uint8Array) => boolean;

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Node's own default is to wait for minutes; a listener's last descriptor is worth more. */
const PATIENCE = {
  headersTimeout: LIMITS.http.headersTimeout,
  requestTimeout: LIMITS.http.requestTimeout,
  keepAliveTimeout: LIMITS.http.keepAliveTimeout,
  connectionsCheckingInterval: seconds(2),
} as const;

const GUARDED = [
  joinCodeRoutes,
  passwordRoutes,
  retireRoutes,
  refusalRoutes,
  policyDeskRoutes,
  authorityRoutes,
  fleetRoutes,
  forgetRoutes,
  seriesRoutes,
  queryRoutes,
  alertRoutes,
  pictureRoutes,
  filesRoutes,
  schemaRoutes,
  eventRoutes,
  deadLetterRoutes,
  ruleViewRoutes,
  moveRoutes,
  accountRoutes,
  peopleRoutes,
  auditRoutes,
];

export async function buildApi(ports: ApiPorts, takeUpgrade: TakeUpgrade = () => false): Promise<ApiServer> {
  let handler: Handler = () => {};
  const plain = createServer(PATIENCE, (request, response) => handler(request, response));
  /** Where the WebSocket plugin listens: it gets what nobody else has taken. */
  const upgrades = createServer();
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
  app.addHook("onRoute", (route) => {
    const { method, url, config } = route;
    // The pages of the dashboard come from a plugin, which states nothing.
    const permission = config?.permission ?? (url === "/*" ? "public" : null);
    if (config?.notImplemented === true) return;
    for (const one of [method].flat()) routes.push({ method: one, url, permission });
    nameOperation(route);
  });
  app.decorateRequest("actor", null);
  const responses = new ResponseMetrics(ports.metrics);
  app.addHook("onResponse", async (_request, reply) => responses.count(reply.statusCode));
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  answerErrors(app, ports, responses);
  refuseStrangers(app, ports.ownNames);
  await addPlugins(app, ports, upgrades);
  auditChanges(app, ports);
  const hub = new LiveHub(ports);
  await app.register(async (scope) => {
    guard(scope, ports);
    await scope.register(async (aws) => awsRoutes(aws, ports));
    await scope.register(async (bulk) => bulkRoutes(bulk, ports));
    for (const add of GUARDED) add(scope, ports);
    scope.get("/api/openapi.json", { config: { permission: "account" } }, async () => scope.swagger());
    hub.routes(scope);
    refuseOtherOperations(scope, routes);
  });
  sessionRoutes(app, ports);
  joinRoutes(app, ports);
  healthRoutes(app, ports);
  doorRoutes(app, ports);
  linkedPictureRoutes(app, ports);
  revocationRoutes(app, ports);
  registrationReportRoutes(app, ports);
  deviceRoutes(app, ports.enrolment);
  await app.ready();
  const listening = new Listening({ app, live: hub, routes, plain }, ports);
  plain.on("upgrade", (request, socket: Socket, head) => {
    if (takeUpgrade(request, socket, head)) listening.forget(socket);
    else upgrades.emit("upgrade", request, socket, head);
  });
  return listening;
}

/** By address; of two at one, the first. */
const OPERATION_AT: ReadonlyMap<string, string> = new Map(
  AWS_OPERATIONS.toReversed().map(([name, method, path]) => [`${method} ${shapeOf(path)}`, name]),
);

/** For the OpenAPI document. */
function nameOperation(route: RouteOptions): void {
  const operationId = OPERATION_AT.get(`${[route.method].flat()[0]!} ${shapeOf(route.url)}`);
  if (operationId !== undefined) route.schema = { operationId, tags: ["AWS IoT"], ...route.schema };
}

function answerErrors(app: FastifyInstance, ports: ApiPorts, responses: ResponseMetrics): void {
  app.setErrorHandler((error, request, reply) => {
    const ours = tidewireErrorOf(error);
    responses.countRefusal(ours);
    const incident = incidentOf(ports);
    request.refusal = { code: ours.code, incident: ours.entry.fault === "bug" ? incident : null };
    const { http } = ours.entry;
    if (http === 401 || http === 403) auditRefusal(ports, request, ours.code);
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

async function addPlugins(app: FastifyInstance, ports: ApiPorts, upgrades: Server): Promise<void> {
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
  await app.register(rateLimit, {
    global: true,
    max: LIMITS.http.requestsPerMinuteMax,
    timeWindow: "1 minute",
    // Behind a login each counts for himself (`guard`).
    allowList: ({ routeOptions: { config } }) =>
      config.permission !== undefined && config.permission !== "public" && config.rateLimit === undefined,
  });
  await app.register(websocket, {
    options: { maxPayload: LIMITS.http.liveFrameBytesMax, server: upgrades },
  });
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
}

class Listening implements ApiServer {
  readonly app: FastifyInstance;
  readonly live: LiveHub;
  readonly routes: readonly ApiRoute[];
  readonly #plain: Server;
  readonly #scheduler: ApiPorts["scheduler"];
  readonly #refused: Counter;
  readonly #sockets = new Set<Socket>();
  /** Those of them that came through `take`. */
  readonly #taken = new Set<Socket>();
  #closed: Promise<void> | null = null;

  constructor({ app, live, routes, plain }: Built, { logger, metrics, scheduler }: ApiPorts) {
    this.app = app;
    this.live = live;
    this.routes = routes;
    this.#plain = plain;
    this.#scheduler = scheduler;
    const refused = (listener: string): Counter =>
      metrics.counter({
        name: "tidewire_http_connections_refused_total",
        help: "HTTP connections that were closed at once, because too many were open",
        labels: { listener },
      });
    this.#refused = refused("HTTPS");
    const refusedPlain = refused("HTTP");
    plain.maxConnections = LIMITS.http.connectionsMax;
    plain.on("drop", () => refusedPlain.value++);
    plain.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.forget(socket));
    });
    // Such as no descriptors left to accept with; unheard, it would end the process.
    plain.on("error", (error) => {
      if (plain.listening) logger.error("The HTTP listener has a problem.", { reason: error.message });
    });
  }

  listen({ httpPort }: { readonly httpPort: number }): Promise<number> {
    return listenOn(this.#plain, "127.0.0.1", httpPort, "HTTP", "--http-port");
  }

  take(socket: Socket): void {
    if (this.#taken.size >= LIMITS.http.connectionsMax) {
      this.#refused.value++;
      socket.destroy();
      return;
    }
    this.#taken.add(socket);
    this.#plain.emit("connection", socket);
  }

  /** It is closed, or speaks HTTP no more. */
  forget(socket: Socket): void {
    this.#sockets.delete(socket);
    this.#taken.delete(socket);
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.live.close();
    const plain = this.#plain;
    const closed = [new Promise<void>((resolve) => (plain.listening ? plain.close(() => resolve()) : resolve()))];
    for (const socket of this.#taken) closed.push(new Promise((resolve) => socket.once("close", () => resolve())));
    const cancel = this.#scheduler.after(CLOSE_GRACE, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await Promise.all(closed);
    cancel();
    await this.app.close();
  }
}

function listenOn(server: Server, host: string, port: number, listener: string, option: string): Promise<number> {
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
