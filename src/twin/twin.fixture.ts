/** The shadow service over a real store, a log that is a list, and simulated time; it may die and start again. */
import { cpSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimClock, SimLogger, SimMetrics, settle } from "../../sim/world.ts";
import { SqliteShadowStore } from "../adapters/sqlite/shadow-store.ts";
import { LIMITS, TidewireError, encodeUtf8 } from "../base/mod.ts";
import type { EpochMs, JsonObject, Limits } from "../base/mod.ts";
import { CLIENT_PREFIX, requestOf, topicOf } from "./topics.ts";
import type { ShadowKey } from "./topics.ts";
import type { Outcome, TwinRequest } from "./turn.ts";
import type { ShadowStore } from "./store.ts";
import { Twin } from "./twin.ts";
import type { ShadowChange } from "./twin.ts";

interface Logged {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly clientId: string;
  readonly receivedAt: EpochMs;
}

export interface Heard {
  /** Behind `…/shadow/` or `…/shadow/name/N/`. */
  readonly topic: string;
  readonly body: JsonObject;
}

export class TwinWorld {
  readonly clock = new SimClock();
  readonly things = new Set<string>(["lamp"]);
  readonly limits: Limits["shadow"];
  readonly folder = mkdtempSync(join(tmpdir(), "tidewire-twin-"));
  readonly changes: ShadowChange[] = [];
  logger = new SimLogger();
  metrics = new SimMetrics();
  twin!: Twin;
  store!: SqliteShadowStore;
  /** What the next calls of the store and the log throw, while it is set. */
  fail: { save?: Error; publish?: Error; registry?: Error } = {};
  readonly log: Logged[] = [];
  durable = 0;
  #heard = 0;

  constructor(limits: Partial<Limits["shadow"]> = {}) {
    this.limits = { ...LIMITS.shadow, ...limits };
    this.#start();
  }

  /** A message is in the log, not yet on disk. Text as it is, anything else as JSON. */
  send(topic: string, payload: unknown = "", clientId = "lamp"): void {
    const text = typeof payload === "string" ? payload : JSON.stringify(payload);
    const bytes = payload instanceof Uint8Array ? payload : encodeUtf8(text);
    this.log.push({ topic, payload: bytes, clientId, receivedAt: this.clock.now() });
  }

  update(state: unknown, more: JsonObject = {}, key: Partial<ShadowKey> = {}): void {
    this.send(topicOf(CLIENT_PREFIX, { thing: "lamp", name: "", ...key }, "update"), { state, ...more });
  }

  /** The log's sync, and all that comes of it. */
  async sync(): Promise<void> {
    while (this.durable < this.log.length) {
      const from = this.durable;
      this.durable = this.log.length;
      await this.#hand(from);
    }
  }

  /** What was published since the last call. */
  heard(): readonly Heard[] {
    const fresh = this.log.slice(this.#heard);
    this.#heard = this.log.length;
    return fresh.flatMap(({ topic, payload }) => {
      const rest = /^\$aws\/things\/[^/]+\/shadow\/(?:name\/[^/]+\/)?(\w+\/\w+)$/.exec(topic)?.[1];
      if (rest === undefined) return [];
      return [{ topic: rest, body: JSON.parse(new TextDecoder().decode(payload)) as JsonObject }];
    });
  }

  /** Sends, syncs, and tells what came of it. */
  async ask(topic: string, payload: unknown = ""): Promise<readonly Heard[]> {
    this.send(topic, payload);
    await this.sync();
    return this.heard();
  }

  /** Over HTTP. */
  async told(outcome: Promise<Outcome>): Promise<Outcome> {
    await settle();
    await this.sync();
    return outcome;
  }

  /** The process dies: what is in the log and not on disk is gone. `durable`: of the rest, what the sync had reached. */
  crash(durable = this.durable): void {
    this.store.close();
    this.log.length = this.durable = durable;
    this.#heard = Math.min(this.#heard, durable);
    this.fail = {};
    this.#start();
  }

  /** The disk as it is now; call what is returned to have nothing of what came later. */
  snapshot(): () => void {
    const copy = `${this.folder}-copy`;
    cpSync(this.folder, copy, { recursive: true });
    return () => {
      this.store.close();
      rmSync(this.folder, { recursive: true });
      renameSync(copy, this.folder);
      this.fail = {};
      this.#start();
    };
  }

  /** Hands the log from the service's place on, as the consumer does at a start. */
  async catchUp(): Promise<void> {
    await this.#hand(this.twin.position);
    await this.sync();
  }

  close(): void {
    this.twin.close();
    this.store.close();
    rmSync(this.folder, { recursive: true });
  }

  async #hand(from: number): Promise<void> {
    const requests: TwinRequest[] = [];
    for (let offset = from; offset < this.durable; offset++) {
      const { topic, ...logged } = this.log[offset]!;
      const request = requestOf(topic);
      if (request !== null) requests.push({ ...request, ...logged, offset });
    }
    const handled = this.twin.handle(requests, this.durable);
    const running = { now: true };
    const ended = handled.finally(() => (running.now = false)).catch(() => {});
    while (running.now) await this.clock.run(0);
    await ended;
    await handled;
  }

  #start(): void {
    const { clock, things, limits } = this;
    this.logger = new SimLogger();
    this.metrics = new SimMetrics();
    this.store = new SqliteShadowStore({ path: join(this.folder, "shadows.db") });
    const exists = (thing: string): boolean => {
      if (this.fail.registry !== undefined) throw this.fail.registry;
      return things.has(thing);
    };
    const publish = (topic: string, payload: Uint8Array): number => {
      if (this.fail.publish !== undefined) throw this.fail.publish;
      this.log.push({ topic, payload, clientId: "", receivedAt: clock.now() });
      return this.log.length - 1;
    };
    const { logger, metrics } = this;
    const ports = { clock, scheduler: clock, logger, metrics, limits, publish, things: { exists } };
    this.twin = new Twin({ ...ports, store: this.#failing(this.store), durable: () => this.durable }, 0);
    this.twin.onChange((change) => this.changes.push(change));
    this.twin.start();
  }

  #failing(store: SqliteShadowStore): ShadowStore {
    return new Proxy(store, {
      get: (target, name) => {
        if (name === "save" && this.fail.save !== undefined) throw this.fail.save;
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === "function" ? (member.bind(target) as unknown) : member;
      },
    });
  }
}

export const LOG_FULL = new TidewireError("LOG_FULL", { reason: "the disk is full" });
