/** Broker, plain listener and a journal on disk, and nothing else: `node bench/broker/broker-alone.ts DIR`; prints its port. */
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { LIMITS } from "../../src/base/mod.ts";
import type { Counter, Logger, Metrics } from "../../src/base/mod.ts";
import { listenMqtt } from "../../src/adapters/net/mod.ts";
import { SqliteBrokerState } from "../../src/adapters/sqlite/broker-state.ts";
import { Broker } from "../../src/broker/mod.ts";
import { FileJournal } from "./file-journal.ts";

const folder = process.argv[2] ?? ".";
const counters = new Map<string, Counter>();
const metrics: Metrics = {
  counter: ({ name, labels }) => {
    const counter = { value: 0 };
    counters.set(`${name} ${JSON.stringify(labels ?? {})}`, counter);
    return counter;
  },
  gauge: () => ({ value: 0 }),
  observe: () => {},
};
const print = (message: string, fields?: unknown): void => {
  process.stderr.write(`${message} ${JSON.stringify(fields ?? {})}\n`);
};
const logger: Logger = { debug: () => {}, info: () => {}, warn: print, error: print, child: () => logger };
const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const scheduler = {
  after: (delay: number, task: () => void) => {
    const timer = setTimeout(task, delay);
    return () => clearTimeout(timer);
  },
  every: (period: number, task: () => void) => {
    const timer = setInterval(task, period);
    return () => clearInterval(timer);
  },
  defer: (task: () => void) => void setImmediate(task),
};
const journal = new FileJournal(join(folder, "journal"));
const everything = { revision: 1, publish: () => true, subscribe: () => true, receive: () => true };
const broker = new Broker({
  journal,
  gatekeeper: { admit: () => ({ admitted: true, thing: null, authorizer: everything }) },
  state: new SqliteBrokerState(join(folder, "broker.db")),
  clock,
  scheduler,
  random: { next: () => Math.random(), bytes: (length) => new Uint8Array(randomBytes(length)) },
  logger,
  metrics,
  limits: LIMITS.mqtt,
});
await broker.restore();
const listener = await listenMqtt({
  host: "127.0.0.1",
  port: 0,
  admitPeer: () => ({ ok: true }),
  accept: (transport, peer) => broker.accept(transport, peer),
  portOption: "--port",
  limits: LIMITS.mqtt,
  clock,
  logger,
  metrics,
});
process.stdout.write(`${listener.port}\n`);
process.on("SIGTERM", () => {
  const summary = [...counters].filter(([, { value }]) => value > 0).map(([name, { value }]) => `${name}=${value}`);
  process.stderr.write(`${summary.join("\n")}\nsyncs=${journal.syncs}\n`);
  process.exit(0);
});
