/**
 * The live WebSocket: points of watched things after the store has committed them, presence, headline values, alerts.
 * A slow browser is cut off rather than buffered for; it reconnects, fetches what it missed and goes on.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { WebSocket } from "ws";
import { z } from "zod";
import { LIMITS, TidewireError, mib } from "../../base/mod.ts";
import type { Cancel, EpochMs } from "../../base/mod.ts";
import type { LiveEvent } from "./contract.ts";
import { apiErrorOf, tidewireErrorOf } from "./errors.ts";
import { HEADLINE_FIELDS } from "./headline.ts";
import type { ApiPorts, LivePoints } from "./ports.ts";
import { ThingName } from "./schemas.ts";

const Request = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("watch"), thing: ThingName, measurement: z.string().max(256).optional() }),
  z.strictObject({ type: z.literal("unwatch"), thing: ThingName }),
  z.strictObject({ type: z.literal("watch-fleet") }),
  z.strictObject({ type: z.literal("unwatch-fleet") }),
  z.strictObject({ type: z.literal("ping") }),
]);

/** Bytes waiting for one browser before it is cut off. */
const BUFFERED_BYTES_MAX = mib(4);
/** WebSocket close codes (RFC 6455 section 7.4.1): policy violation, try again later. */
const CLOSE_POLICY = 1008;
const CLOSE_TRY_LATER = 1013;

interface Viewer {
  readonly socket: WebSocket;
  /** Watched thing → the one measurement of it, or null for all. */
  readonly things: Map<string, string | null>;
  fleet: boolean;
}

export class LiveHub {
  readonly #ports: ApiPorts;
  readonly #viewers = new Set<Viewer>();
  /** How many viewers watch a thing; the store is told of the first and the last. */
  readonly #watched = new Map<string, number>();
  readonly #cancels: Cancel[];

  constructor(ports: ApiPorts) {
    this.#ports = ports;
    this.#cancels = [
      ports.telemetry.onPoints((points) => this.#sendPoints(points)),
      ports.telemetry.onRejoin((thing, at) => this.#rejoin(thing, at)),
      ports.presence.onChange((thing, presence) => this.#sendFleet({ type: "presence", thing, presence })),
      ports.alerts.onChange((alert) => this.#sendAll({ type: "alert", alert })),
    ];
  }

  routes(app: FastifyInstance): void {
    app.get("/api/live", { websocket: true }, (socket, request) => this.#join(socket, request));
  }

  close(): void {
    for (const cancel of this.#cancels) cancel();
    for (const viewer of this.#viewers) viewer.socket.terminate();
  }

  #join(socket: WebSocket, request: FastifyRequest): void {
    if (this.#viewers.size >= LIMITS.http.liveConnectionsMax) {
      socket.close(CLOSE_TRY_LATER, "too many live connections");
      return;
    }
    const viewer: Viewer = { socket, things: new Map(), fleet: false };
    this.#viewers.add(viewer);
    socket.on("message", (data: Buffer) => {
      this.#handle(viewer, data).catch((error: unknown) => {
        const ours = tidewireErrorOf(error);
        if (ours.entry.fault === "bug") this.#ports.logger.error("A live request failed unexpectedly.", { error });
        this.#send(viewer, { type: "error", error: apiErrorOf(ours) });
      });
    });
    socket.on("error", (error) => {
      this.#ports.logger.debug("A live connection broke.", { remoteAddress: request.ip, reason: error.message });
    });
    socket.on("close", () => this.#leave(viewer));
  }

  #leave(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    for (const thing of viewer.things.keys()) this.#release(thing);
  }

  async #handle(viewer: Viewer, data: Buffer): Promise<void> {
    const request = parseRequest(data);
    switch (request.type) {
      case "watch":
        await this.#watch(viewer, request.thing, request.measurement ?? null);
        break;
      case "unwatch":
        if (viewer.things.delete(request.thing)) this.#release(request.thing);
        break;
      case "watch-fleet":
        viewer.fleet = true;
        break;
      case "unwatch-fleet":
        viewer.fleet = false;
        break;
      case "ping":
        this.#send(viewer, { type: "pong", at: this.#ports.clock.now() });
        break;
    }
  }

  async #watch(viewer: Viewer, thing: string, measurement: string | null): Promise<void> {
    const isNew = !viewer.things.has(thing);
    if (isNew && viewer.things.size >= LIMITS.http.liveSubscriptionsMax) {
      viewer.socket.close(CLOSE_POLICY, "too many watched things");
      return;
    }
    viewer.things.set(thing, measurement);
    if (isNew) this.#watched.set(thing, (this.#watched.get(thing) ?? 0) + 1);
    const at = await this.#ports.telemetry.watch(thing);
    this.#send(viewer, { type: "watching", thing, at });
  }

  #release(thing: string): void {
    const left = (this.#watched.get(thing) ?? 1) - 1;
    if (left > 0) {
      this.#watched.set(thing, left);
      return;
    }
    this.#watched.delete(thing);
    this.#ports.telemetry.unwatch(thing);
  }

  /** A second `watching` tells the viewer to fetch again what it may have missed. */
  #rejoin(thing: string, at: EpochMs): void {
    for (const viewer of this.#viewers) {
      if (viewer.things.has(thing)) this.#send(viewer, { type: "watching", thing, at });
    }
  }

  #sendPoints({ thing, measurement, series }: LivePoints): void {
    const event: LiveEvent = { type: "points", thing, measurement, series };
    for (const viewer of this.#viewers) {
      const wanted = viewer.things.get(thing);
      if (wanted === null || wanted === measurement) this.#send(viewer, event);
    }
  }

  get hasFleetViewers(): boolean {
    return [...this.#viewers].some((viewer) => viewer.fleet);
  }

  /** Headline values of these things, to those who look at the fleet. */
  async refreshHeadlines(things: readonly string[]): Promise<void> {
    const headlines = await this.#ports.telemetry.headline(things, HEADLINE_FIELDS);
    for (const [thing, headline] of headlines) this.#sendFleet({ type: "headline", thing, headline });
  }

  #sendFleet(event: LiveEvent): void {
    for (const viewer of this.#viewers) if (viewer.fleet) this.#send(viewer, event);
  }

  #sendAll(event: LiveEvent): void {
    for (const viewer of this.#viewers) this.#send(viewer, event);
  }

  #send({ socket }: Viewer, event: LiveEvent): void {
    if (socket.bufferedAmount > BUFFERED_BYTES_MAX) {
      socket.terminate();
      return;
    }
    socket.send(JSON.stringify(event));
  }
}

function parseRequest(data: Buffer): z.infer<typeof Request> {
  let json: unknown;
  try {
    json = JSON.parse(data.toString("utf8"));
  } catch {
    throw new TidewireError("REQUEST_INVALID", { reason: "a live request is one JSON object per frame" });
  }
  const parsed = Request.safeParse(json);
  if (!parsed.success) throw new TidewireError("REQUEST_INVALID", { reason: z.prettifyError(parsed.error) });
  return parsed.data;
}
