/**
 * How fast the rules are: `node src/rules/rules.bench.ts`. Prints one line per figure; asserts nothing.
 * The receiver runs in a process of its own, on the other core.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { NodeOutgoingHttp, hmacSha256 } from "../adapters/outgoing-http.ts";
import { sealingWith } from "../adapters/sealing.ts";
import { openSenders } from "../adapters/senders/mod.ts";
import { SqliteRulesStore } from "../adapters/sqlite/rules-store.ts";
import { defaultRules } from "./defaults.ts";
import { HotRules } from "./hot-rules.ts";
import { messageOf } from "./rules.fixture.ts";

const utf8 = new TextEncoder();
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** How long each save stopped the loop, in milliseconds. */
const saves: number[] = [];

/** The child: answers 200 at once and reports how long each request was under way (all clocks are this machine's). */
function receive(): void {
  const delays: number[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      delays.push(performance.timeOrigin + performance.now() - (JSON.parse(body) as { at: number }).at);
      response.end();
    });
  });
  process.on("message", () => process.send!(delays.splice(0)));
  process.on("disconnect", () => process.exit());
  server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port));
}

function makeRules(folder: string): { rules: HotRules; close: () => Promise<void> } {
  const sealing = sealingWith(new Uint8Array(32));
  const store = new SqliteRulesStore({ path: join(folder, "rules.db"), sealing });
  const http = new NodeOutgoingHttp();
  const save = store.save.bind(store);
  store.save = (batch, durable) => {
    const started = performance.now();
    const waiting = save(batch, durable);
    saves.push(performance.now() - started);
    return waiting;
  };
  const clock = { now: () => Date.now(), monotonic: () => performance.now() };
  const rules = new HotRules({
    store,
    senders: openSenders({ http, hmacSha256, clock, folder: null }),
    keyedHash: (text) => sealing.hmac(text),
    clock,
    scheduler: {
      after(delay, task) {
        const timer = setTimeout(task, delay);
        return () => clearTimeout(timer);
      },
      every(period, task) {
        const timer = setInterval(task, period);
        return () => clearInterval(timer);
      },
      defer: (task) => void setImmediate(task),
    },
    random: new SimRandom(1),
    logger: new SimLogger(),
    metrics: new SimMetrics(),
    defaults: defaultRules(),
  });
  return {
    rules,
    async close() {
      await rules.close();
      http.close();
      store.close();
    },
  };
}

function measureHandle(rules: HotRules, what: string, topic: (i: number) => string, payload: Uint8Array): void {
  let offset = rules.checkpoint();
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) rules.handle(offset++, messageOf(topic(i), payload));
  };
  run(200_000);
  const started = performance.now();
  const count = 1_000_000;
  run(count);
  const ms = performance.now() - started;
  say(
    `${what}: ${Math.round(count / ms).toLocaleString("en")} k messages/s, ${((ms * 1e6) / count).toFixed(0)} ns each`,
  );
}

function percentile(sorted: readonly number[], p: number): string {
  return `${sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]!.toFixed(2)} ms`;
}

/** Calls `publish` at a steady rate, as far as this machine's scheduler lets it. */
async function steadily(rate: number, seconds: number, publish: (payload: Uint8Array) => void): Promise<void> {
  const started = performance.now();
  let sent = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(rate * seconds, Math.floor(((performance.now() - started) * rate) / 1000));
      for (; sent < due; sent++) {
        publish(utf8.encode(JSON.stringify({ at: performance.timeOrigin + performance.now(), n: sent })));
      }
      if (sent < rate * seconds) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
}

async function report(child: ReturnType<typeof fork>, what: string): Promise<void> {
  child.send("report");
  const [delays] = (await once(child, "message")) as [number[]];
  delays.sort((a, b) => a - b);
  const [p50, p99, max] = [0.5, 0.99, 1].map((p) => percentile(delays, p));
  say(`${what}: ${delays.length} requests, p50 ${p50}, p99 ${p99}, max ${max}`);
}

async function measureWebhook(
  rules: HotRules,
  child: ReturnType<typeof fork>,
  rate: number,
  seconds: number,
): Promise<void> {
  let offset = rules.checkpoint();
  await steadily(rate, seconds, (payload) => rules.handle(offset++, messageOf("bench/a", payload)));
  while (rules.checkpoint() < offset) await new Promise((resolve) => setImmediate(resolve));
  await report(child, `publish to webhook, ${rate}/s for ${seconds} s`);
}

/** The same requests without any rules: what this machine, as busy as it is now, allows at all. */
async function measureBare(url: string, child: ReturnType<typeof fork>, rate: number, seconds: number): Promise<void> {
  const http = new NodeOutgoingHttp();
  const underway = new Set<Promise<unknown>>();
  await steadily(rate, seconds, (body) => {
    const done = http.post({ url, headers: {}, body, timeout: 15_000 }).finally(() => underway.delete(done));
    underway.add(done);
  });
  await Promise.all(underway);
  http.close();
  await report(child, `bare client for comparison, ${rate}/s for ${seconds} s`);
}

async function bench(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-rules-bench-"));
  const { rules, close } = makeRules(folder);
  await rules.start();
  const child = fork(import.meta.filename, ["receive"]);
  const [port] = (await once(child, "message")) as [number];
  const system = utf8.encode(
    JSON.stringify({ ts: 1, cpu: { percent: 20, core0: 1, core1: 2 }, memory: { percent: 40 }, disk: { percent: 50 } }),
  );
  measureHandle(rules, "handle, topic that no rule wants", (i) => `other/${i % 1000}`, system);
  measureHandle(
    rules,
    "handle, three default alert rules, none matching",
    (i) => `telemetry/t${i % 1000}/system`,
    system,
  );
  rules.put("bench", {
    sql: "SELECT *, topic(2) AS source FROM 'bench/+' WHERE n >= 0",
    actions: [{ webhook: { url: `http://127.0.0.1:${port}/`, secret: `whsec_${btoa("k".repeat(32))}` } }],
  });
  await measureWebhook(rules, child, 500, 2); // warms up
  for (let round = 0; round < 3; round++) {
    await measureBare(`http://127.0.0.1:${port}/`, child, 1000, 5);
    await measureWebhook(rules, child, 1000, 5);
  }
  say(
    `saves: ${saves.length}, longest ${Math.max(...saves).toFixed(1)} ms, mean ${(saves.reduce((a, b) => a + b, 0) / saves.length).toFixed(2)} ms`,
  );
  child.disconnect();
  await once(child, "exit");
  await close();
  rmSync(folder, { recursive: true });
}

if (process.argv[2] === "receive") receive();
else await bench();
