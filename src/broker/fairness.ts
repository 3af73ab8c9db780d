/**
 * Who may go on, and who waits: rates per connection, thing, tenant and in all, and an even share of each turn. Reading is
 * paused, nothing is gathered meanwhile. MQTT 5.0 section 4.9 leaves such limits to the receiver.
 */
import type { MqttLimits, Scheduler } from "../base/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { Meter, Rate, verdict } from "./rates.ts";
import type { MeterLimits } from "./rates.ts";

/** Until there is a second one. */
const TENANT = "default";
/** Acknowledgements and pings alone: an idle connection has no meter. */
const UNMETERED_BYTES = 1024;
/** However many are active: else a turn would be all overhead. */
const SHARE_MIN = 64;

/** One thing: its connections and the sessions that they leave behind. Gone with the last of them. */
export interface ThingScope {
  readonly thing: string;
  readonly meter: Meter;
  connections: number;
  sessions: number;
}

export class Fairness {
  readonly #core: Core;
  readonly #scheduler: Scheduler;
  readonly #limits: MqttLimits;
  readonly #perConnection: MeterLimits;
  readonly #perThing: MeterLimits;
  readonly #perTenant: MeterLimits;
  readonly #all: Meter;
  /** Bounded by the tenants that the gatekeeper knows. */
  readonly #tenants = new Map<string, Meter>();
  /** Bounded by connections and sessions. */
  readonly #things = new Map<string, ThingScope>();
  /** Who has more input than its share of this turn, and who had in the turn before; bounded by connections. */
  #yielded: Connection[] = [];
  #waiting: Connection[] = [];
  /** Counts turns, so that a connection notices a new one without being told. */
  turn = 1;
  #active = 0;
  /** Messages and deliveries that one connection may cause in this turn, and that all together still may. */
  #share: number;
  #left: number;

  constructor(core: Core, scheduler: Scheduler, limits: MqttLimits) {
    this.#core = core;
    this.#scheduler = scheduler;
    this.#limits = limits;
    this.#share = limits.turnWorkMax;
    this.#left = limits.turnWorkMax;
    const burst = limits.rateBurst;
    const of = (scope: "" | "PerThing" | "PerTenant" | "Total"): MeterLimits => ({
      messages: `messagesPerSecond${scope}Max`,
      bytes: `bytesPerSecond${scope}Max`,
      messagesPerSecond: limits[`messagesPerSecond${scope}Max`],
      bytesPerSecond: limits[`bytesPerSecond${scope}Max`],
      burst,
    });
    this.#perConnection = of("");
    this.#perThing = of("PerThing");
    this.#perTenant = of("PerTenant");
    this.#all = new Meter(of("Total"), null);
  }

  // ── rates ────────────────────────────────────────────────────────────────────────────────────

  /** What was read from the connection; from here on it may have to wait. */
  charge(connection: Connection, messages: number, bytes: number): void {
    if (connection.state !== "connected" || (messages === 0 && bytes < UNMETERED_BYTES)) return;
    const meter = (connection.meter ??= this.#meterFor(connection.scope));
    const now = connection.lastReceived;
    meter.charge(messages, bytes, now);
    if (meter.mustWait(now)) this.hold(connection);
  }

  /** Pauses the connection as `verdict` says. */
  hold(connection: Connection): void {
    if (connection.isHeld("rate")) return;
    const { wait, limit } = verdict;
    this.#core.limitReached(limit, connection, "a client is above its rate and is read from more slowly");
    connection.holdRead("rate");
    this.#scheduler.after(Math.ceil(wait), () => connection.releaseRead("rate"));
  }

  /** Filters that were subscribed to or unsubscribed from. */
  chargeFilters(connection: Connection, count: number): void {
    const now = connection.lastReceived;
    const rate = (connection.filterRate ??= new Rate(this.#limits.filtersPerSecondMax, this.#limits.rateBurst));
    rate.take(count, now);
    const debt = rate.debt(now);
    if (debt <= 0) return;
    verdict.wait = debt;
    verdict.limit = "filtersPerSecondMax";
    this.hold(connection);
  }

  /** Whether the connection has lately sent more than others: it is the one to wait where all cannot be served. */
  isHeavy(connection: Connection): boolean {
    return connection.meter !== null && connection.meter.isHeavy(connection.lastReceived);
  }

  // ── things ───────────────────────────────────────────────────────────────────────────────────

  thing(name: string): ThingScope | undefined {
    return this.#things.get(name);
  }

  enter(name: string | null): ThingScope | null {
    if (name === null) return null;
    let scope = this.#things.get(name);
    if (scope === undefined) {
      const meter = new Meter(this.#perThing, this.#tenant(TENANT));
      scope = { thing: name, meter, connections: 0, sessions: 0 };
      this.#things.set(name, scope);
    }
    return scope;
  }

  /** After one of its numbers went down. */
  leave(scope: ThingScope): void {
    if (scope.connections === 0 && scope.sessions === 0) this.#things.delete(scope.thing);
  }

  #meterFor(thing: ThingScope | null): Meter {
    return new Meter(this.#perConnection, thing === null ? this.#tenant(TENANT) : thing.meter);
  }

  #tenant(name: string): Meter {
    let meter = this.#tenants.get(name);
    if (meter === undefined) this.#tenants.set(name, (meter = new Meter(this.#perTenant, this.#all)));
    return meter;
  }

  // ── turns ────────────────────────────────────────────────────────────────────────────────────

  /**
   * One more connection has input in this turn: what it may cause. Where more of them come than in the turn before, after
   * which shares are measured, those that come late get the least there is.
   */
  creditFor(): number {
    this.#active++;
    return Math.max(SHARE_MIN, Math.min(this.#share, this.#left));
  }

  /** A connection has caused so much more. */
  spent(work: number): void {
    this.#left -= work;
  }

  /** The connection has used its share; the rest of its input waits for the next turn. */
  yield(connection: Connection): void {
    this.#core.reached.count("turnWorkMax");
    this.#yielded.push(connection);
  }

  /** The connection may go on with what it sent, in the next turn. */
  goOn(connection: Connection): void {
    this.#yielded.push(connection);
    this.#core.planTurnEnd();
  }

  /** Those who had to wait go on, before the turn ends. Others have been read from meanwhile. */
  serveWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const connection of waiting) {
      if (connection.state !== "closed") connection.intake.take(null, 0);
    }
  }

  /** Ends the turn; true where somebody still waits. */
  endTurn(): boolean {
    this.turn++;
    this.#share = Math.max(SHARE_MIN, Math.floor(this.#limits.turnWorkMax / Math.max(1, this.#active)));
    this.#left = this.#limits.turnWorkMax;
    this.#active = 0;
    if (this.#yielded.length === 0) return false;
    this.#waiting = this.#yielded;
    this.#yielded = [];
    return true;
  }
}
