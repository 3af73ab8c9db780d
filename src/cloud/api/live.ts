/**
 * The live WebSocket: points of watched things after the store has committed them, presence, headline values, alerts.
 * A slow browser is cut off rather than buffered for; it reconnects, fetches what it missed and goes on.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { WebSocket } from "ws";
import { z } from "zod";
import { LIMITS, TidewireError, isRetryable } from "../../base/mod.ts";
import type { Cancel, Counter, EpochMs } from "../../base/mod.ts";
import { mayTouch } from "../../people/mod.ts";
import type { Actor } from "../../people/mod.ts";
import { actorOf, demandPermission, demandThing } from "./actor.ts";
import type { LiveEvent } from "./contract.ts";
import { apiErrorOf, incidentOf, publicErrorOf, tidewireErrorOf } from "./errors.ts";
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

/** WebSocket close codes (RFC 6455 section 7.4.1): going away, policy violation, try again later. */
const CLOSE_GOING_AWAY = 1001;
const CLOSE_POLICY = 1008;
const CLOSE_TRY_LATER = 1013;

const REFUSED_DELAY = 500;

interface Viewer {
  readonly socket: WebSocket;
  /** Who looks; as of the last time that rights changed. */
  actor: Actor;
  /** Watched thing → the one measurement of it, or null for all. */
  readonly things: Map<string, string | null>;
  fleet: boolean;
  /** Heard of since the last look. */
  alive: boolean;
  /** Requests that are being answered. */
  waiting: number;
}

/** Why a live connection was ended or refused by us. */
const REASONS = ["too-many", "slow", "silent", "too-many-things", "flood", "session-ended"] as const;
type CutReason = (typeof REASONS)[number];

export class LiveHub {
  readonly #ports: ApiPorts;
  readonly #viewers = new Set<Viewer>();
  /** How many viewers watch a thing; the store is told of the first and the last. */
  readonly #watched = new Map<string, number>();
  readonly #cuts: ReadonlyMap<CutReason, Counter>;
  readonly #cancels: Cancel[];
  #refreshing = false;
  #isRefusedTold = true;

  constructor(ports: ApiPorts) {
    this.#ports = ports;
    this.#cuts = new Map(
      REASONS.map((reason) => [
        reason,
        ports.metrics.counter({
          name: "tidewire_live_cut_off_total",
          help: "Live connections of dashboards that were refused or ended, by reason",
          labels: { reason },
        }),
      ]),
    );
    ports.metrics.observe(
      { name: "tidewire_live_connections", help: "Open live connections of dashboards" },
      () => this.#viewers.size,
    );
    this.#cancels = [
      ports.telemetry.onPoints((points) => this.#sendPoints(points)),
      ports.telemetry.onRejoin((thing, at) => this.#rejoin(thing, at)),
      ports.shadows.onChange(({ thing, name, version }) => {
        if (this.#watched.has(thing)) this.#sendThing({ type: "shadow", thing, name, version });
      }),
      ports.presence.onChange((thing, presence) => this.#sendFleet({ type: "presence", thing, presence })),
      ports.alerts.onChange((alert) =>
        this.#broadcast(
          { type: "alert", alert },
          ({ actor }) => actor.permissions.has("alerts:read") && mayTouch(actor, alert.thing),
        ),
      ),
      ports.people.onChange(() => this.#reconsider()),
      ports.refusals.onChange(() => this.#tellRefused()),
      ports.scheduler.every(LIMITS.http.livePingPeriod, () => this.#lookAtAll()),
    ];
  }

  routes(app: FastifyInstance): void {
    app.route({
      method: "GET",
      url: "/api/live",
      // What may be watched is asked for with each watch.
      config: { permission: "telemetry:read", things: () => [] },
      handler: () => {
        throw new TidewireError("REQUEST_INVALID", { reason: "/api/live speaks WebSocket only" });
      },
      wsHandler: (socket, request) => this.#join(socket, request),
    });
  }

  close(): void {
    for (const cancel of this.#cancels) cancel();
    for (const { socket } of this.#viewers) {
      socket.close(CLOSE_GOING_AWAY, "the platform stops");
      // Nobody waits for the answer to that.
      socket.terminate();
    }
  }

  /** A flood of refusals is two frames a second. */
  #tellRefused(): void {
    if (!this.#isRefusedTold) return;
    this.#isRefusedTold = false;
    this.#ports.scheduler.after(REFUSED_DELAY, () => {
      this.#isRefusedTold = true;
      this.#sendFleet({ type: "refused" });
    });
  }

  #join(socket: WebSocket, request: FastifyRequest): void {
    if (this.#viewers.size >= LIMITS.http.liveConnectionsMax) {
      this.#count("too-many");
      socket.close(CLOSE_TRY_LATER, "too many live connections");
      return;
    }
    const viewer: Viewer = {
      socket,
      actor: actorOf(request),
      things: new Map(),
      fleet: false,
      alive: true,
      waiting: 0,
    };
    this.#viewers.add(viewer);
    socket.on("message", (data: Buffer) => this.#take(viewer, data));
    socket.on("pong", () => (viewer.alive = true));
    socket.on("error", (error) => {
      this.#ports.logger.debug("A live connection broke.", { remoteAddress: request.ip, reason: error.message });
    });
    socket.on("close", () => this.#leave(viewer));
  }

  #leave(viewer: Viewer): void {
    if (!this.#viewers.delete(viewer)) return;
    for (const thing of viewer.things.keys()) this.#release(thing);
    viewer.things.clear();
  }

  #take(viewer: Viewer, data: Buffer): void {
    viewer.alive = true;
    if (viewer.waiting >= LIMITS.http.liveRequestsWaitingMax) {
      this.#cut(viewer, "flood", "too many requests at once");
      return;
    }
    viewer.waiting++;
    this.#handle(viewer, data)
      .catch((error: unknown) => {
        const incident = incidentOf(this.#ports);
        const ours = tidewireErrorOf(error);
        if (ours.entry.fault === "bug")
          this.#ports.logger.error("A live request failed unexpectedly.", { incident, error });
        this.#send(viewer, { type: "error", error: apiErrorOf(publicErrorOf(ours, incident)) });
      })
      .finally(() => viewer.waiting--);
  }

  async #handle(viewer: Viewer, data: Buffer): Promise<void> {
    const request = parseRequest(data);
    switch (request.type) {
      case "watch":
        demandThing(viewer.actor, "telemetry:read", request.thing);
        await this.#watch(viewer, request.thing, request.measurement ?? null);
        break;
      case "unwatch":
        if (viewer.things.delete(request.thing)) this.#release(request.thing);
        break;
      case "watch-fleet":
        demandPermission(viewer.actor, "fleet:read");
        demandThing(viewer.actor, "fleet:read", "*");
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
      this.#cut(viewer, "too-many-things", "too many watched things");
      return;
    }
    viewer.things.set(thing, measurement);
    if (isNew) this.#watched.set(thing, (this.#watched.get(thing) ?? 0) + 1);
    const at = await this.#ports.telemetry.watch(thing);
    // It may have been given up while the store was asked.
    if (viewer.things.has(thing)) this.#send(viewer, { type: "watching", thing, at });
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
    this.#sendThing({ type: "watching", thing, at });
  }

  #sendThing(event: LiveEvent & { readonly thing: string }): void {
    this.#broadcast(event, (viewer) => viewer.things.has(event.thing));
  }

  #sendPoints({ thing, measurement, series }: LivePoints): void {
    this.#broadcast({ type: "points", thing, measurement, series }, (viewer) => {
      const wanted = viewer.things.get(thing);
      return wanted === null || wanted === measurement;
    });
  }

  get hasFleetViewers(): boolean {
    return [...this.#viewers].some((viewer) => viewer.fleet);
  }

  /** Headline values of these things, to those who look at the fleet. A store that is away now leaves them out. */
  async refreshHeadlines(things: readonly string[]): Promise<void> {
    if (this.#refreshing || things.length === 0) return;
    this.#refreshing = true;
    try {
      const headlines = await this.#ports.telemetry.headline(things, HEADLINE_FIELDS);
      for (const [thing, headline] of headlines) this.#sendFleet({ type: "headline", thing, headline });
    } catch (error) {
      if (!isRetryable(error)) throw error;
    } finally {
      this.#refreshing = false;
    }
  }

  #sendFleet(event: LiveEvent): void {
    this.#broadcast(event, (viewer) => viewer.fleet);
  }

  #broadcast(event: LiveEvent, wanted: (viewer: Viewer) => boolean): void {
    let text: string | null = null;
    for (const viewer of this.#viewers) if (wanted(viewer)) this.#sendText(viewer, (text ??= JSON.stringify(event)));
  }

  #send(viewer: Viewer, event: LiveEvent): void {
    this.#sendText(viewer, JSON.stringify(event));
  }

  #sendText(viewer: Viewer, text: string): void {
    if (viewer.socket.bufferedAmount > LIMITS.http.liveBufferedBytesMax) {
      this.#count("slow");
      this.#leave(viewer);
      viewer.socket.terminate();
      return;
    }
    viewer.socket.send(text);
  }

  /** Ends what nobody holds any more: sessions that are over, and browsers that vanished without closing. */
  #lookAtAll(): void {
    for (const viewer of this.#viewers) {
      const { socket } = viewer;
      if (!this.#isStillAllowed(viewer)) {
        this.#cut(viewer, "session-ended", "the session has ended");
      } else if (!viewer.alive) {
        this.#count("silent");
        this.#leave(viewer);
        socket.terminate();
      } else {
        viewer.alive = false;
        socket.ping();
      }
    }
  }

  /** A session, a key or a right may have ended. */
  #reconsider(): void {
    for (const viewer of this.#viewers) {
      if (!this.#isStillAllowed(viewer)) this.#cut(viewer, "session-ended", "logged out");
    }
  }

  /** Takes over what the viewer may do now. A dashboard that is open is one that somebody looks at. */
  #isStillAllowed(viewer: Viewer): boolean {
    const { people } = this.#ports;
    const now = people.again(viewer.actor);
    if (now === null || !now.permissions.has("telemetry:read")) return false;
    viewer.actor = now;
    const { identity } = now;
    if ("session" in identity && identity.session !== null) people.sessions.touch(identity.session);
    return true;
  }

  /** It hears why, and nothing else from here on. */
  #cut(viewer: Viewer, reason: CutReason, sentence: string): void {
    this.#count(reason);
    this.#leave(viewer);
    viewer.socket.close(CLOSE_POLICY, sentence);
  }

  #count(reason: CutReason): void {
    this.#cuts.get(reason)!.value++;
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
