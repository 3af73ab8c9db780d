/**
 * Shadow updates per second, durable: a request into the real log, shadow and answers into the real SQLite file, answers
 * back into the log. `node src/cloud/services/shadows.bench.ts [updates] [folder]`. Without network and broker.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileCrc32, openLogDirectory } from "../../adapters/files/mod.ts";
import { PrometheusMetrics } from "../../adapters/metrics.ts";
import { SqliteShadowStore } from "../../adapters/sqlite/shadow-store.ts";
import { systemClock, systemRandom, systemScheduler } from "../../adapters/system.ts";
import { LIMITS, encodeUtf8 } from "../../base/mod.ts";
import type { Logger, Message } from "../../base/mod.ts";
import { Log } from "../../log/mod.ts";
import { LogJournal } from "../journal.ts";
import { ShadowService } from "./shadows.ts";

const updates = Number(process.argv[2] ?? 20_000);
const parent = process.argv[3] ?? tmpdir();
const THINGS = 1_000;
const silent: Logger = {
  debug() {},
  info() {},
  warn() {},
  error: (text, fields) => void process.stderr.write(`${text} ${JSON.stringify(fields)}\n`),
  child: () => silent,
};

const own = { thing: null, qos: 1, retain: false, properties: null } as const;

/** `fields`: how many values a shadow has; `window`: requests on the way at once. */
async function run(fields: number, window: number, count: number): Promise<void> {
  const folder = mkdtempSync(join(parent, "tidewire-shadows-"));
  const base = {
    clock: systemClock,
    scheduler: systemScheduler,
    random: systemRandom,
    logger: silent,
    metrics: new PrometheusMetrics(),
  };
  const directory = await openLogDirectory(join(folder, "log"));
  const log = await Log.open({ ...base, directory, crc32: fileCrc32, limits: LIMITS.log });
  const journal = new LogJournal({ log, ...base });
  const store = new SqliteShadowStore({ path: join(folder, "shadows.db") });
  const sentAt = new Float64Array(count);
  const took: number[] = [];
  let sent = 0;
  let done: () => void;
  const finished = new Promise<void>((resolve) => (done = resolve));
  const message = (topic: string, clientId: string, payload: Uint8Array): Message => ({
    ...own,
    topic,
    clientId,
    payload,
    receivedAt: systemClock.now(),
  });
  const send = (): void => {
    if (sent >= count) return;
    const n = sent++;
    const thing = `device-${n % THINGS}`;
    const reported = Object.fromEntries(Array.from({ length: fields }, (_, i) => [`field${i}`, (n * 31 + i) % 997]));
    const text = JSON.stringify({ state: { reported }, clientToken: String(n) });
    sentAt[n] = performance.now();
    journal.appendMessage(message(`$aws/things/${thing}/shadow/update`, thing, encodeUtf8(text)));
  };
  const publish = (topic: string, payload: Uint8Array): number => {
    const offset = journal.appendMessage(message(topic, "", payload));
    if (topic.endsWith("/accepted")) {
      const n = Number(/"clientToken":"(\d+)"/.exec(Buffer.from(payload).toString())![1]);
      took.push(performance.now() - sentAt[n]!);
      if (took.length === count) done();
      else send();
    }
    return offset;
  };
  const options = {
    ...base,
    store,
    limits: LIMITS.shadow,
    publish,
    things: { exists: () => true },
    durable: () => log.durable,
  };
  const service = new ShadowService(options, 0);
  const consumer = log.consume(0, (batch) => service.take(batch), "shadows");
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  for (let i = 0; i < window; i++) send();
  await finished;
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  took.sort((a, b) => a - b);
  const at = (share: number): string => took[Math.floor(took.length * share)]!.toFixed(1);
  process.stdout.write(
    `${fields} fields, ${window} on the way: ${Math.round(count / seconds)} updates/s, ` +
      `${((user + system) / count).toFixed(0)} µs CPU each, accepted after p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n`,
  );
  await consumer.close();
  service.close();
  store.close();
  await log.close();
  rmSync(folder, { recursive: true });
}

await run(5, 1, Math.min(updates, 2_000));
await run(5, 500, updates);
await run(100, 500, Math.min(updates, 5_000));
