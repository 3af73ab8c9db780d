/** A platform for browser tests: the built dashboard and the API contract over real HTTP and WebSocket, all in memory. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { ERROR_CATALOGUE, TidewireError } from "../../src/base/mod.ts";
import type { ErrorCode, EpochMs } from "../../src/base/mod.ts";
import type {
  Aggregate,
  Alert,
  AlertStory,
  AlertTransition,
  ApiError,
  FieldValue,
  FleetEntry,
  Health,
  HealthState,
  LatestValue,
  LiveEvent,
  LiveRequest,
  Presence,
  Refusal,
  RefusalPage,
  ThingDetail,
  ThingShadow,
} from "../../src/cloud/api/contract.ts";
import { PERMISSIONS } from "../../src/people/mod.ts";
import { FakeStore } from "./fake-store.ts";
import type { NewAlert, TestPlatform } from "./platform.ts";

const WEB_ROOT = fileURLToPath(new URL("../../dist/web/", import.meta.url));
const HEADLINE = ["cpu.percent", "memory.percent", "disk.percent"];
const COOKIE = "tidewire_session";

/** As the real platform sends it: nothing inline, nothing from elsewhere. */
export const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

interface FakeThing {
  readonly detail: Omit<ThingDetail, "activeAlerts" | "headline" | "alerts" | "presence">;
  presence: Presence;
}

interface LiveClient {
  readonly socket: WebSocket;
  readonly things: Set<string>;
  fleet: boolean;
}

export interface FakeOptions {
  /** Server's clock; a test may let it differ from the browser's. */
  readonly now?: () => EpochMs;
}

export async function startFakePlatform(options: FakeOptions = {}): Promise<FakePlatform> {
  const platform = new FakePlatform(options.now ?? (() => Date.now()));
  await platform.listen();
  return platform;
}

export class FakePlatform implements TestPlatform {
  readonly token = `tw-${randomBytes(24).toString("base64url")}`;
  readonly store = new FakeStore();
  /** Every request of the API, as `GET /api/…`, for tests that look at what was asked. */
  readonly requests: string[] = [];
  /** Delays answers of `GET /api/series`, so that live points overtake the history. */
  seriesGate: Promise<void> = Promise.resolve();
  health: HealthState = "ok";
  /** Of every alert; null: there is none. */
  picture: string | null = null;
  /** Who is told of an alert that is active. */
  groups: AlertStory["groups"] = [];
  readonly #history = new Map<string, AlertTransition[]>();
  /** Of every thing. */
  shadows: readonly ThingShadow[] = [];
  readonly now: () => EpochMs;
  readonly #things = new Map<string, FakeThing>();
  readonly #alerts = new Map<string, Alert>();
  #refusals: readonly Refusal[] = [];
  readonly #codes = new Set<string>();
  readonly #sessions = new Set<string>();
  readonly #clients = new Set<LiveClient>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #live = new WebSocketServer({ noServer: true });
  readonly #startedAt: EpochMs;
  #port = 0;

  constructor(now: () => EpochMs) {
    this.now = now;
    this.#startedAt = now() - 93_000_000;
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => refuse(response, error));
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("upgrade", (request, socket, head) => {
      if (!this.#loggedIn(request)) {
        socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
        return;
      }
      this.#live.handleUpgrade(request, socket, head, (client) => this.#accept(client));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  loginLink(): Promise<string> {
    const code = randomBytes(12).toString("base64url");
    this.#codes.add(code);
    return Promise.resolve(`${this.url}#code=${code}`);
  }

  addThing(
    thing: string,
    more: { readonly type?: string; readonly attributes?: Record<string, string> } = {},
  ): Promise<void> {
    this.#things.set(thing, {
      detail: {
        thingName: thing,
        thingTypeName: more.type ?? null,
        attributes: more.attributes ?? {},
        createdAt: this.now() - 86_400_000 * 12,
        version: 1,
        certificates: [
          { certificateId: randomBytes(8).toString("hex"), status: "ACTIVE", expiresAt: this.now() + 86_400_000 * 364 },
        ],
        password: null,
      },
      presence: { state: "never", lastSeenAt: null, disconnectReason: null, remoteAddress: null },
    });
    return Promise.resolve();
  }

  connect(thing: string): Promise<void> {
    const presence = { lastSeenAt: this.now(), disconnectReason: null, remoteAddress: "192.168.1.20" };
    this.#setPresence(thing, { state: "online", ...presence });
    return Promise.resolve();
  }

  disconnect(thing: string, reason = "MQTT_KEEP_ALIVE_TIMEOUT"): Promise<void> {
    this.#setPresence(thing, {
      state: "offline",
      lastSeenAt: this.now(),
      disconnectReason: reason,
      remoteAddress: null,
    });
    return Promise.resolve();
  }

  publish(
    thing: string,
    measurement: string,
    fields: Readonly<Record<string, FieldValue>>,
    time: EpochMs = this.now(),
  ): Promise<void> {
    const series = this.store.commit(thing, measurement, fields, time);
    const known = this.#things.get(thing);
    if (known?.presence.state === "online") known.presence = { ...known.presence, lastSeenAt: this.now() };
    for (const client of this.#clients) {
      if (client.things.has(thing)) send(client, { type: "points", thing, measurement, series });
      if (client.fleet) {
        if (known !== undefined) send(client, { type: "presence", thing, presence: known.presence });
        send(client, { type: "headline", thing, headline: this.#headline(thing) });
      }
    }
    return Promise.resolve();
  }

  raiseAlert({ thing, severity, summary }: NewAlert, raisedAt: EpochMs = this.now(), count = 1): Promise<string> {
    const id = randomBytes(6).toString("hex");
    this.#putAlert({
      id,
      rule: "machine_limits",
      key: thing,
      thing,
      source: "rule",
      severity,
      state: "active",
      phase: "firing",
      summary,
      value: null,
      threshold: null,
      labels: {},
      since: raisedAt,
      raisedAt,
      lastSeenAt: this.now(),
      resolvedAt: null,
      acknowledgedAt: null,
      acknowledgedBy: null,
      assignee: null,
      snoozedUntil: null,
      flapping: false,
      count,
    });
    return Promise.resolve(id);
  }

  resolveAlert(id: string, resolvedAt: EpochMs = this.now()): Promise<void> {
    this.#putAlert({ ...this.#alerts.get(id)!, state: "resolved", phase: "resolved", resolvedAt });
    return Promise.resolve();
  }

  /** The latest first, as the platform lists them. */
  setRefusals(refusals: readonly Refusal[]): void {
    this.#refusals = refusals;
    this.#tellFleet({ type: "refused" });
  }

  cutLive(): Promise<void> {
    for (const { socket } of this.#clients) socket.terminate();
    return Promise.resolve();
  }

  /** Live connections stay open but nothing passes any more, as behind a dead router. */
  muteLive(): void {
    for (const client of this.#clients) {
      client.socket.removeAllListeners("message");
      client.things.clear();
      client.fleet = false;
    }
  }

  async setReachable(reachable: boolean): Promise<void> {
    if (reachable) return this.listen();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  expireSessions(): Promise<void> {
    this.#sessions.clear();
    return this.cutLive();
  }

  get liveConnections(): number {
    return this.#clients.size;
  }

  async close(): Promise<void> {
    for (const { socket } of this.#clients) socket.terminate();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #setPresence(thing: string, presence: Presence): void {
    const known = this.#things.get(thing);
    if (known === undefined) throw new Error(`no thing ${thing}`);
    known.presence = presence;
    this.#tellFleet({ type: "presence", thing, presence });
  }

  #putAlert(alert: Alert): void {
    this.#alerts.set(alert.id, alert);
    this.#tellFleet({ type: "alert", alert });
  }

  #tellFleet(event: LiveEvent): void {
    for (const client of this.#clients) if (client.fleet) send(client, event);
  }

  #accept(socket: WebSocket): void {
    const client: LiveClient = { socket, things: new Set(), fleet: false };
    this.#clients.add(client);
    socket.on("close", () => this.#clients.delete(client));
    socket.on("message", (data: Buffer) => this.#request(client, JSON.parse(data.toString()) as LiveRequest));
  }

  #request(client: LiveClient, request: LiveRequest): void {
    switch (request.type) {
      case "watch":
        client.things.add(request.thing);
        return send(client, { type: "watching", thing: request.thing, at: this.now() });
      case "unwatch":
        client.things.delete(request.thing);
        return;
      case "watch-fleet":
        client.fleet = true;
        return;
      case "unwatch-fleet":
        client.fleet = false;
        return;
      case "ping":
        return send(client, { type: "pong", at: this.now() });
    }
  }

  #headline(thing: string): LatestValue[] {
    return this.store.latest(thing).filter((value) => HEADLINE.includes(value.field));
  }

  #loggedIn(request: IncomingMessage): boolean {
    const match = new RegExp(`${COOKIE}=([^;]+)`).exec(request.headers.cookie ?? "");
    return match !== null && this.#sessions.has(match[1]!);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    if (!url.pathname.startsWith("/api/")) return serveFile(url.pathname, response);
    this.requests.push(`${request.method} ${url.pathname}${url.search}`);
    if (url.pathname === "/api/session" && request.method === "POST") return this.#login(request, response);
    if (!this.#loggedIn(request)) throw new TidewireError("UNAUTHORIZED");
    const route = `${request.method} ${url.pathname}`;
    if (route === "DELETE /api/session") {
      this.#sessions.clear();
      response.writeHead(204).end();
      return;
    }
    if (/^GET \/api\/alerts\/[^/]+\/picture\.svg$/.test(route)) {
      if (this.picture === null) throw new TidewireError("NOT_FOUND", { kind: "picture of an alert", name: "?" });
      response.writeHead(200, { "content-type": "image/svg+xml" }).end(this.picture);
      return;
    }
    json(response, await this.#answer(route, url.searchParams));
  }

  async #answer(route: string, query: URLSearchParams): Promise<unknown> {
    if (route === "GET /api/session") {
      return {
        user: "administrator",
        kind: "token",
        role: null,
        permissions: PERMISSIONS,
        things: null,
        session: "s",
        expiresAt: this.now() + 604_800_000,
        version: "0.1.0",
      };
    }
    if (route === "GET /api/health") return this.#health();
    if (route === "GET /api/fleet") return this.#fleet(query);
    const story = /^GET \/api\/alerts\/([^/]+)$/.exec(route);
    if (story !== null) return this.#story(decodeURIComponent(story[1]!));
    if (route === "GET /api/alerts") return this.#alertPage(query);
    if (route === "GET /api/refusals") return this.#refusalPage(query);
    if (route === "GET /api/series") {
      await this.seriesGate;
      return this.store.query(seriesQueryOf(query, this.now()));
    }
    const acknowledged = /^POST \/api\/alerts\/([^/]+)\/acknowledge$/.exec(route);
    if (acknowledged !== null) return this.#acknowledge(acknowledged[1]!);
    if (/^GET \/api\/things\/[^/]+\/shadows$/.test(route)) return { shadows: this.shadows, truncated: false };
    const thing = /^GET \/api\/things\/([^/]+)(\/latest)?$/.exec(route);
    if (thing !== null) return this.#thing(decodeURIComponent(thing[1]!), thing[2] !== undefined);
    throw new TidewireError("NOT_FOUND", { kind: "page", name: route });
  }

  async #login(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await textOf(request)) as { readonly token?: string; readonly code?: string };
    if (body.code !== undefined && !this.#codes.delete(body.code)) throw new TidewireError("LOGIN_CODE_INVALID");
    if (body.code === undefined && body.token !== this.token) throw new TidewireError("UNAUTHORIZED");
    const id = randomBytes(16).toString("base64url");
    this.#sessions.add(id);
    response.writeHead(204, { "set-cookie": `${COOKIE}=${id}; HttpOnly; SameSite=Strict; Path=/` }).end();
  }

  #health(): Health {
    const parts = [
      { name: "broker", state: "ok" as const, detail: "accepting connections" },
      {
        name: "store",
        state: this.health,
        detail: this.health === "ok" ? "writing" : "restarting, 1,204 records behind",
      },
    ];
    return { state: this.health, version: "0.1.0", startedAt: this.#startedAt, host: "workshop-pi", parts };
  }

  #fleet(query: URLSearchParams): unknown {
    const search = (query.get("search") ?? "").toLowerCase();
    const limit = Number(query.get("limit") ?? "50");
    const names = [...this.#things.keys()].filter((name) => name.toLowerCase().includes(search)).sort();
    const cursor = query.get("cursor");
    const first = cursor === null ? 0 : names.findIndex((name) => name > cursor);
    const page = first < 0 ? [] : names.slice(first, first + limit);
    const online = names.filter((name) => this.#things.get(name)!.presence.state === "online").length;
    const more = first >= 0 && first + limit < names.length;
    return {
      things: page.map((name) => this.#entry(name)),
      cursor: more ? page.at(-1)! : null,
      total: names.length,
      online,
    };
  }

  #entry(name: string): FleetEntry {
    const { detail, presence } = this.#things.get(name)!;
    const { thingName, thingTypeName, attributes } = detail;
    const activeAlerts = this.#alertsOf(name).length;
    return { thingName, thingTypeName, attributes, presence, activeAlerts, headline: this.#headline(name) };
  }

  #thing(name: string, latest: boolean): unknown {
    const thing = this.#things.get(name);
    if (thing === undefined) throw new TidewireError("NOT_FOUND", { kind: "thing", name });
    if (latest) return { thing: name, values: this.store.latest(name) };
    return { ...thing.detail, ...this.#entry(name), alerts: this.#alertsOf(name) };
  }

  #alertsOf(thing: string): Alert[] {
    return [...this.#alerts.values()].filter((alert) => alert.thing === thing && alert.state === "active");
  }

  #alertPage(query: URLSearchParams): unknown {
    const all = [...this.#alerts.values()];
    const active = all.filter((alert) => alert.state === "active");
    const alerts = (query.get("state") === "all" ? all : active).slice(0, Number(query.get("limit") ?? "50"));
    return { alerts, active: active.length };
  }

  #refusalPage(query: URLSearchParams): RefusalPage {
    const thing = query.get("thing");
    const found = this.#refusals.filter((one) => thing === null || one.thing === thing || one.clientId === thing);
    return { refusals: found.slice(0, Number(query.get("limit") ?? "100")), kept: this.#refusals.length };
  }

  #story(id: string): AlertStory {
    const alert = this.#alerts.get(id);
    if (alert === undefined) throw new TidewireError("NOT_FOUND", { kind: "alert", name: id });
    const history = this.#history.get(id) ?? [];
    return { alert, history, groups: alert.state === "resolved" ? [] : this.groups };
  }

  /** A line of its story. */
  tellStory(id: string, line: AlertTransition): void {
    this.#history.set(id, [...(this.#history.get(id) ?? []), line]);
  }

  /** What a rule says of it besides. */
  labelAlert(id: string, more: Partial<Alert>): void {
    this.#putAlert({ ...this.#alerts.get(id)!, ...more });
  }

  #acknowledge(id: string): Alert {
    const alert = this.#alerts.get(id);
    if (alert === undefined) throw new TidewireError("NOT_FOUND", { kind: "alert", name: id });
    const at = this.now();
    const acknowledged: Alert = { ...alert, phase: "acknowledged", acknowledgedAt: at, acknowledgedBy: "ann" };
    this.tellStory(id, { at, type: "acknowledged", by: "ann", note: null });
    this.#putAlert(acknowledged);
    return acknowledged;
  }
}

function send({ socket }: LiveClient, event: LiveEvent): void {
  socket.send(JSON.stringify(event));
}

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, error: unknown): void {
  const known = error instanceof TidewireError ? error : new TidewireError("INTERNAL", { reason: String(error) });
  const code: ErrorCode = known.code;
  const body: ApiError = { code, message: known.message, fix: known.fix };
  response
    .writeHead(ERROR_CATALOGUE[code].http ?? 500, { "content-type": "application/json" })
    .end(JSON.stringify(body));
}

async function serveFile(path: string, response: ServerResponse): Promise<void> {
  const name = normalize(path === "/" ? "/index.html" : path);
  const type = TYPES[extname(name)] ?? "application/octet-stream";
  const headers = {
    "content-type": type,
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  };
  try {
    const content = await readFile(join(WEB_ROOT, name));
    response.writeHead(200, headers).end(content);
  } catch {
    response.writeHead(404).end();
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function seriesQueryOf(query: URLSearchParams, now: EpochMs): Parameters<FakeStore["query"]>[0] {
  const window = /^(\d+)([smhd])$/.exec(query.get("window") ?? "");
  return {
    thing: query.get("thing") ?? "",
    measurement: query.get("measurement"),
    fields: query.get("fields")?.split(",") ?? null,
    from: timeOf(query.get("from") ?? "-1h", now),
    to: timeOf(query.get("to") ?? "now", now),
    window: window === null ? null : Number(window[1]) * UNITS[window[2]!]!,
    aggregate: (query.get("aggregate") ?? "avg") as Aggregate,
  };
}

function timeOf(text: string, now: EpochMs): EpochMs {
  if (text === "now") return now;
  const relative = /^-(\d+)([smhd])$/.exec(text);
  if (relative !== null) return now - Number(relative[1]) * UNITS[relative[2]!]!;
  return /^\d+$/.test(text) ? Number(text) : Date.parse(text);
}
