/** A broker behind real listeners on the loopback, for tests with real clients. */
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { SimJournal, SimState } from "../../../sim/broker-ports.ts";
import { SimLogger, SimMetrics } from "../../../sim/world.ts";
import { LIMITS } from "../../base/mod.ts";
import type { Clock, MqttLimits, Scheduler } from "../../base/mod.ts";
import { Broker } from "../../broker/mod.ts";
import type { PresenceEvent } from "../../broker/mod.ts";
import { listenMqtt } from "./listen-mqtt.ts";
import type { MqttListener, MqttListenerOptions } from "./listen-mqtt.ts";
import { listenMqttWebSocket } from "./mqtt-web-sockets.ts";

export const realClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

export const realScheduler: Scheduler = {
  after: (delay, task) => {
    const timer = setTimeout(task, delay);
    return () => clearTimeout(timer);
  },
  every: (period, task) => {
    const timer = setInterval(task, period);
    return () => clearInterval(timer);
  },
  defer: (task) => void setImmediate(task),
};

export interface Served {
  readonly broker: Broker;
  readonly listener: MqttListener;
  readonly logger: SimLogger;
  readonly metrics: SimMetrics;
  readonly journal: SimJournal;
  readonly presence: PresenceEvent[];
  stop(): Promise<void>;
}

type Choices = "tls" | "admitPeer" | "clientCertificate" | "sessionTickets" | "http" | "unnamed" | "proxy";

export async function serve(
  options: Pick<MqttListenerOptions, Choices> & {
    limits?: Partial<MqttLimits>;
    port?: number;
    /** A listener for WebSocket alone; `objection` to what its requests say. */
    webSocket?: (request: IncomingMessage) => string | null;
  },
): Promise<Served> {
  const limits: MqttLimits = { ...LIMITS.mqtt, ...options.limits };
  const [logger, metrics] = [new SimLogger(), new SimMetrics()];
  const journal = new SimJournal({ ...realClock, ...realScheduler });
  const everything = { revision: 1, publish: () => true, subscribe: () => true, receive: () => true };
  const broker = new Broker({
    journal,
    gatekeeper: { admit: (_peer, { clientId }) => ({ admitted: true, thing: clientId, authorizer: everything }) },
    state: new SimState(),
    clock: realClock,
    scheduler: realScheduler,
    random: { next: () => Math.random(), bytes: (length) => new Uint8Array(randomBytes(length)) },
    logger,
    metrics,
    limits,
  });
  await broker.restore();
  const presence: PresenceEvent[] = [];
  broker.onPresence((event) => presence.push(event));
  const { limits: _limits, webSocket, port = 0, ...choices } = options;
  const all: MqttListenerOptions = {
    ...choices,
    host: "127.0.0.1",
    port,
    accept: (transport, peer) => broker.accept(transport, peer),
    portOption: "--mqtt-port",
    limits,
    clock: realClock,
    logger,
    metrics,
  };
  const listening =
    webSocket === undefined ? listenMqtt(all) : listenMqttWebSocket({ ...all, name: "ws", objection: webSocket });
  const listener = await listening.catch(async (error: unknown) => {
    await broker.close();
    throw error;
  });
  const stop = async (): Promise<void> => {
    const closed = listener.close(0);
    await broker.close();
    await closed;
  };
  return { broker, listener, logger, metrics, journal, presence, stop };
}
