/** A broker with everything around it simulated. */
import { LIMITS } from "../src/base/mod.ts";
import type { MqttLimits, Scheduler } from "../src/base/mod.ts";
import { Broker } from "../src/broker/mod.ts";
import type {
  Admission,
  AuthenticationExchange,
  BrokerOptions,
  Gatekeeper,
  Peer,
  PresenceEvent,
  StateStore,
} from "../src/broker/mod.ts";
import type { ConnectPacket, ProtocolVersion } from "../src/wire/mqtt/mod.ts";
import { SimAuthorizer, SimJournal, SimState } from "./broker-ports.ts";
import { SimClient } from "./mqtt-client.ts";
import { SimClock, SimLogger, SimMetrics, SimRandom } from "./world.ts";

export interface WorldOptions {
  readonly limits?: Partial<MqttLimits>;
  readonly seed?: number;
  /** Options of the broker that have no place of their own here. */
  readonly broker?: Partial<BrokerOptions>;
}

/** A broker and what it stands on. */
export class BrokerWorld {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly logger = new SimLogger();
  metrics = new SimMetrics();
  readonly journal = new SimJournal(this.clock);
  readonly state = new SimState();
  readonly limits: MqttLimits;
  readonly presence: PresenceEvent[] = [];
  /** Policies by client id; others may do everything. */
  readonly policies = new Map<string, SimAuthorizer>();
  admit: Gatekeeper["admit"] | null = null;
  authenticate: Gatekeeper["authenticate"] | null = null;
  mayPublishKept: NonNullable<Gatekeeper["mayPublishKept"]> = () => true;
  broker: Broker;
  /** Ports of a broker that crashed are dead. */
  #life = { alive: true };

  readonly #more: WorldOptions["broker"];

  constructor(options: WorldOptions = {}) {
    this.#more = options.broker ?? {};
    this.limits = { ...LIMITS.mqtt, ...options.limits };
    this.random = new SimRandom(options.seed ?? 1);
    this.broker = this.#start();
  }

  static async started(options: WorldOptions = {}): Promise<BrokerWorld> {
    const world = new BrokerWorld(options);
    await world.broker.restore();
    return world;
  }

  policy(clientId: string): SimAuthorizer {
    let policy = this.policies.get(clientId);
    if (policy === undefined) this.policies.set(clientId, (policy = new SimAuthorizer()));
    return policy;
  }

  /** What a client is admitted as, unless `admit` says otherwise. */
  admission(clientId: string): Admission {
    return { admitted: true, thing: `thing-${clientId}`, authorizer: this.policy(clientId) };
  }

  #start(): Broker {
    const { journal, clock, random, logger, metrics, limits } = this;
    const life = (this.#life = { alive: true });
    const scheduler = whileAlive(life, clock);
    const state = storeWhileAlive(life, this.state);
    const gatekeeper = {
      admit: (peer: Peer, connect: ConnectPacket): Admission | Promise<Admission> =>
        this.admit === null ? this.admission(connect.clientId) : this.admit(peer, connect),
      authenticate: (peer: Peer, connect: ConnectPacket): AuthenticationExchange | null =>
        this.authenticate?.(peer, connect) ?? null,
      mayPublishKept: (owner: string, topic: string, retain: boolean): boolean =>
        this.mayPublishKept(owner, topic, retain),
    };
    const broker = new Broker({
      journal,
      gatekeeper,
      state,
      clock,
      scheduler,
      random,
      logger,
      metrics,
      limits,
      ...this.#more,
    });
    broker.onPresence((event) => this.presence.push(event));
    return broker;
  }

  /** The power goes: what was not synced or saved is gone; a new broker starts on what is left. */
  async crashAndRestart(): Promise<void> {
    this.#life.alive = false;
    this.journal.crash();
    this.metrics = new SimMetrics();
    this.broker = this.#start();
    await this.broker.restore();
  }

  client(
    options: { version?: ProtocolVersion; certificateId?: string | null; remoteAddress?: string } = {},
  ): SimClient {
    return new SimClient(this, options.version ?? 5, options.certificateId ?? null, options.remoteAddress);
  }

  /** A client that is connected when this resolves. */
  async connected(
    clientId: string,
    options: Partial<ConnectPacket> & { version?: ProtocolVersion } = {},
  ): Promise<SimClient> {
    const { version = 5, ...packet } = options;
    const client = this.client({ version }).connect({ clientId, ...packet });
    await this.run();
    return client;
  }

  /** Lets everything happen that needs no more than `span` milliseconds. */
  run(span = 0): Promise<void> {
    return this.clock.run(span);
  }
}

function whileAlive(life: { alive: boolean }, clock: SimClock): Scheduler {
  const guarded = (task: () => void) => (): void => {
    if (life.alive) task();
  };
  return {
    after: (delay, task) => clock.after(delay, guarded(task)),
    every: (period, task) => clock.every(period, guarded(task)),
    defer: (task) => clock.defer(guarded(task)),
  };
}

/** A process that died writes nothing more, whatever it had begun. */
function storeWhileAlive(life: { alive: boolean }, store: SimState): StateStore {
  const never = new Promise<never>(() => {});
  return {
    load: () => store.load(),
    saveSessions: (changes) => (life.alive ? store.saveSessions(changes, life) : never),
    saveProgress: (progress) => (life.alive ? store.saveProgress(progress, life) : never),
    queued: (clientId, from, max) => (life.alive ? store.queued(clientId, from, max) : never),
    retained: {
      save: (changes, room) => (life.alive ? store.retained.save(changes, room) : never),
      page: (filter, after, max) => (life.alive ? store.retained.page(filter, after, max) : never),
      at: (offset) => (life.alive ? store.retained.at(offset) : never),
      expire: (now, max) => (life.alive ? store.retained.expire(now, max) : never),
      forgetFrom: (offset) => (life.alive ? store.retained.forgetFrom(offset) : never),
    },
  };
}
