/** Real receivers, a real store and simulated time for the tests of this room. */
import { createServer } from "node:http";
import type { IncomingHttpHeaders, Server, ServerResponse } from "node:http";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimClock, SimLogger, SimMetrics, SimRandom, settle } from "../../sim/world.ts";
import { NodeOutgoingHttp, hmacSha256 } from "../adapters/outgoing-http.ts";
import { sealingWith } from "../adapters/sealing.ts";
import { openSenders } from "../adapters/senders/mod.ts";
import { SqliteRulesStore } from "../adapters/sqlite/rules-store.ts";
import { LIMITS } from "../base/mod.ts";
import type { Cancel, Message, MessageProperties, Scheduler } from "../base/mod.ts";
import { NO_CRON, UTC_ONLY } from "./alerts/calendar.ts";
import type { AlertPictures } from "./conversing.ts";
import type { SqlEnvironment } from "../sql/mod.ts";
import type { LogReading } from "./asking/asking.ts";
import { HotRules } from "./hot-rules.ts";
import type { RuleAction } from "./actions/registry.ts";
import { DONE, forAll } from "./delivery/sender.ts";
import type { Sender } from "./delivery/sender.ts";
import type { RuleDraft, RulesLimits } from "./model.ts";
import type { OutgoingHttp, OutgoingRequest, OutgoingResponse } from "./ports.ts";
import { readAlertConfig } from "./rule-alerts.ts";
import type { RulesStore } from "./store.ts";

const SEALING = sealingWith(new Uint8Array(32).fill(4));

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** How a receiver answers: a status, or all of it, perhaps later; "hang" never does. */
export type Answer =
  | number
  | { status: number; headers?: Record<string, string>; body?: string; after?: Promise<void> }
  | "hang";

/** An HTTP server on a free port of the loopback interface that answers as told. */
export class Receiver {
  readonly received: Received[] = [];
  /** What comes next; when empty, `standing`. */
  readonly answers: Answer[] = [];
  standing: Answer = 200;
  answer: ((request: Received) => Answer) | null = null;
  connections = 0;
  #server: Server | null = null;
  #port = 0;
  readonly #waiting = new Set<() => void>();
  static readonly #all = new Set<Receiver>();

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    Receiver.#all.add(receiver);
    await receiver.up();
    return receiver;
  }

  static async downAll(): Promise<void> {
    await Promise.all([...Receiver.#all].map((receiver) => receiver.down()));
    Receiver.#all.clear();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook`;
  }

  get bodies(): string[] {
    return this.received.map((request) => request.body);
  }

  /** Resolves once so many requests have arrived. */
  count(requests: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.received.length < requests) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  async up(): Promise<void> {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks).toString("utf8");
        const got: Received = { method: request.method ?? "", path: request.url ?? "", headers: request.headers, body };
        this.received.push(got);
        for (const look of this.#waiting) look();
        reply(response, this.answer?.(got) ?? this.answers.shift() ?? this.standing);
      });
    });
    this.#server.on("connection", () => this.connections++);
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Refuses connections from now on; `up` opens the same port again. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }
}

function reply(response: ServerResponse, answer: Answer): void {
  if (answer === "hang") return;
  const { status, headers = {}, body = "", after } = typeof answer === "number" ? { status: answer } : answer;
  const say = (): void => void response.writeHead(status, headers).end(body);
  if (after === undefined) say();
  else void after.then(say);
}

/** The real client, with a way to wait until nothing is on the way any more. */
class WatchedHttp {
  readonly real = new NodeOutgoingHttp();
  /** Bodies in the order in which their requests were started. */
  readonly started: string[] = [];
  mostInflight = 0;
  readonly #inflight = new Set<Promise<OutgoingResponse>>();

  async post(request: OutgoingRequest): Promise<OutgoingResponse> {
    const exchange = this.real.post(request);
    this.started.push(new TextDecoder().decode(request.body));
    this.#inflight.add(exchange);
    this.mostInflight = Math.max(this.mostInflight, this.#inflight.size);
    try {
      return await exchange;
    } finally {
      this.#inflight.delete(exchange);
    }
  }

  async quiet(): Promise<void> {
    await settle();
    while (this.#inflight.size > 0) {
      await Promise.allSettled(this.#inflight);
      await settle();
    }
  }
}

/** One life of the process: once it is over, no timer fires and no answer arrives any more. */
class Life implements Scheduler, OutgoingHttp {
  over = false;
  readonly #clock: SimClock;
  readonly #http: WatchedHttp;

  constructor(clock: SimClock, http: WatchedHttp) {
    this.#clock = clock;
    this.#http = http;
  }

  after(delay: number, task: () => void): Cancel {
    return this.#clock.after(delay, () => this.#run(task));
  }
  every(period: number, task: () => void): Cancel {
    return this.#clock.every(period, () => this.#run(task));
  }
  defer(task: () => void): void {
    this.#clock.defer(() => this.#run(task));
  }

  async post(request: OutgoingRequest): Promise<OutgoingResponse> {
    const never = new Promise<never>(() => {});
    try {
      const response = await this.#http.post(request);
      return this.over ? await never : response;
    } catch (error) {
      if (this.over) await never;
      throw error;
    }
  }

  #run(task: () => void): void {
    if (!this.over) task();
  }
}

export interface WorldOptions {
  readonly limits?: Partial<RulesLimits>;
  readonly notify?: readonly RuleAction[];
  readonly defaults?: readonly RuleDraft[];
  /** Instead of `notify`: the `alerts` section of a configuration. */
  readonly alerts?: unknown;
  readonly pictures?: AlertPictures;
  readonly seed?: number;
  /** Into the log of this world. */
  readonly republish?: (world: World) => Sender;
  /** What rules may ask. */
  readonly environment?: SqlEnvironment;
}

/** The rules on a simulated clock with a real store and real HTTP. */
export class World {
  readonly clock = new SimClock();
  readonly http = new WatchedHttp();
  readonly #folder = mkdtempSync(join(tmpdir(), "tidewire-rules-"));
  #options: WorldOptions;
  readonly limits: RulesLimits;
  logger = new SimLogger();
  metrics = new SimMetrics();
  store: SqliteRulesStore;
  rules: HotRules;
  resumeFrom = 0;
  /** Readers that were opened for rules that were behind. */
  readAgain = 0;
  #life: Life;
  readonly #log: Message[] = [];

  private constructor(options: WorldOptions) {
    this.#options = options;
    this.limits = { ...LIMITS.rules, ...options.limits };
    this.store = this.#openStore();
    this.#life = new Life(this.clock, this.http);
    this.rules = this.#makeRules(this.store);
  }

  static async start(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    world.resumeFrom = await world.rules.start();
    world.rules.follow(
      () => world.#log.length,
      (reading) => world.#readAgain(reading),
    );
    return world;
  }

  /** A message gets into the log and to the rules. */
  publish(topic: string, payload: unknown, more: Partial<Message> = {}): number {
    const bytes = payload instanceof Uint8Array ? payload : new TextEncoder().encode(JSON.stringify(payload));
    const message = messageOf(topic, bytes, { receivedAt: this.clock.now(), ...more });
    const offset = this.#log.push(message) - 1;
    this.rules.handle(offset, message);
    return offset;
  }

  /** Lets `span` pass in steps, waiting for real requests in between. */
  async pass(span: number, step = span): Promise<void> {
    this.clock.advance(0);
    await this.http.quiet();
    for (let passed = 0; passed < span; passed += step) {
      this.clock.advance(Math.min(step, span - passed));
      await this.http.quiet();
    }
  }

  /** For requests that are on the way: waits turn by turn of the real event loop. */
  async metricReaches(name: string, labels: Record<string, string>, value: number): Promise<void> {
    while (this.metrics.valueOr(0, name, labels) < value) await new Promise((resolve) => setImmediate(resolve));
  }

  /** The process dies now: nothing more is saved. Then it starts again, and the log is replayed from the checkpoint. */
  async crash(): Promise<void> {
    this.#life.over = true;
    this.store.close();
    await this.#startAgain();
    this.replay();
  }

  /** `changed`: of the configuration, meanwhile. */
  async restart(logNext?: number, changed: WorldOptions = {}): Promise<void> {
    await this.rules.close();
    this.store.close();
    this.#options = { ...this.#options, ...changed };
    await this.#startAgain(logNext);
    this.replay();
  }

  replay(): void {
    for (let offset = this.resumeFrom; offset < this.#log.length; offset++) {
      this.rules.handle(offset, this.#log[offset]!);
    }
  }

  async close(): Promise<void> {
    await this.rules.close();
    this.http.real.close(); // what hangs is cut, or the folder could not be removed
    await this.http.quiet();
    this.store.close();
    rmSync(this.#folder, { recursive: true });
  }

  async #startAgain(logNext?: number): Promise<void> {
    this.logger = new SimLogger();
    this.metrics = new SimMetrics();
    this.store = this.#openStore();
    this.#life = new Life(this.clock, this.http);
    this.rules = this.#makeRules(this.store);
    this.resumeFrom = await this.rules.start(logNext);
    this.rules.follow(
      () => this.#log.length,
      (reading) => this.#readAgain(reading),
    );
  }

  /** As the log does it: from a turn of its own, and on with what is still to come. */
  #readAgain(reading: LogReading): Cancel {
    const reader = { isOver: false };
    const run = async (): Promise<void> => {
      this.readAgain++;
      for (let next = reading.from; !reader.isOver;) {
        await Promise.resolve();
        if (next >= this.#log.length) {
          await new Promise((resolve) => setImmediate(resolve));
          continue;
        }
        const message = this.#log[next]!;
        if (!reader.isOver && reading.wants(message.topic)) await reading.take(next, message);
        next++;
        if (!reader.isOver) await reading.passed(next);
      }
    };
    void run();
    return () => (reader.isOver = true);
  }

  #openStore(): SqliteRulesStore {
    return new SqliteRulesStore({ path: join(this.#folder, "rules.db"), limits: this.limits, sealing: SEALING });
  }

  #makeRules(store: RulesStore): HotRules {
    const { republish, alerts, pictures } = this.#options;
    return new HotRules({
      store,
      clock: this.clock,
      scheduler: this.#life,
      random: new SimRandom(this.#options.seed ?? 1),
      logger: this.logger,
      metrics: this.metrics,
      senders: openSenders({
        http: this.#life,
        hmacSha256,
        clock: this.clock,
        folder: null,
        ...(republish === undefined ? {} : { republish: () => republish(this) }),
      }),
      keyedHash: (text) => SEALING.hmac(text),
      limits: this.limits,
      ...(this.#options.environment === undefined ? {} : { environment: this.#options.environment }),
      notify: this.#options.notify ?? [],
      defaults: this.#options.defaults ?? [],
      ...(alerts === undefined ? {} : { alerts: readAlertConfig(alerts, { zones: UTC_ONLY, cron: NO_CRON }) }),
      ...(pictures === undefined ? {} : { pictures }),
    });
  }
}

/** A receiver that takes each delivery once, by its id, from whomever it comes; and hears nothing of a process that is dead. */
export class HearsOnce {
  readonly said: string[] = [];
  readonly #ids = new Set<string>();

  senders(alive: { readonly yes: boolean }): { open(): Sender } {
    const send: Sender["send"] = async (batch) => {
      for (const { id, body } of alive.yes ? batch : []) {
        if (this.#ids.has(id)) continue;
        this.#ids.add(id);
        this.said.push(new TextDecoder().decode(body));
      }
      return forAll(batch, DONE);
    };
    return { open: () => ({ send, close: async () => {} }) };
  }
}

export function messageOf(topic: string, payload: Uint8Array, more: Partial<Message> = {}): Message {
  return {
    topic,
    payload,
    qos: 1,
    retain: false,
    clientId: "pi-1",
    thing: "pi-1",
    receivedAt: 0,
    properties: null,
    ...more,
  };
}

export function stamped(outbox: string, sequence: number): MessageProperties {
  return {
    userProperties: [
      ["tw-outbox", outbox],
      ["tw-seq", String(sequence)],
    ],
  };
}
