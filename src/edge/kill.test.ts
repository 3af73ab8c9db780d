/** A real agent process, killed with SIGKILL at random moments while the network is cut and stalled. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { SimRandom } from "../../sim/world.ts";
import { TestAuthority, writeTestDevice } from "./certificates.fixture.ts";
import { FakeBroker, TestProxy } from "./fake-broker.fixture.ts";

const ROUNDS = Number(process.env["TIDEWIRE_KILL_ROUNDS"] ?? 20);
const SEED = Number(process.env["TIDEWIRE_KILL_SEED"] ?? 20_261_121);

class AgentProcess {
  readonly #child: ChildProcess;
  errors = "";

  constructor(config: string) {
    const entry = join(import.meta.dirname, "agent-process.fixture.ts");
    this.#child = spawn(process.execPath, [entry, config], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.errors += text));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const exited = once(this.#child, "close") as Promise<[number | null]>;
    this.#child.kill(signal);
    return (await exited)[0];
  }

  async ended(): Promise<number | null> {
    return ((await once(this.#child, "close")) as [number | null])[0];
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test(`SIGKILL ${ROUNDS} times at random moments (seed ${SEED}): numbers without a hole, nothing lost, nothing changed`, async () => {
  const random = new SimRandom(SEED);
  const authority = await TestAuthority.make();
  const broker = await FakeBroker.start({ ca: authority.ca, issued: await authority.server() });
  const proxy = await TestProxy.start(() => broker.port);
  const device = writeTestDevice({
    broker: `mqtts://127.0.0.1:${proxy.port}`,
    ca: authority.ca,
    issued: await authority.device("dev"),
    more: "sources: [{type: system, every: 100ms}]",
  });
  for (let round = 0; round < ROUNDS; round++) {
    // Some acknowledgements never come: then the kill finds readings that arrived and are still in the outbox.
    broker.behaviour.puback = () => (random.chance(0.1) ? null : 0);
    const agent = new AgentProcess(device.config);
    const seen = broker.arrivals.length;
    const mode = random.pick(["open", "open", "cut", "stalled"] as const);
    if (random.chance(0.5)) await broker.until(() => broker.arrivals.length > seen);
    proxy.set(mode);
    await sleep(50 + random.below(500));
    assert.equal(await agent.end("SIGKILL"), null);
    proxy.set("open");
  }
  broker.behaviour.puback = () => 0;
  const last = new AgentProcess(device.config);
  const seen = broker.arrivals.length;
  await broker.until(() => broker.arrivals.length > seen + 3);
  assert.equal(await last.end("SIGTERM"), 0);

  const database = new DatabaseSync(join(device.folder, "data", "outbox.db"), { readOnly: true });
  const state = database.prepare("SELECT last_sequence, count, dropped, expired, refused FROM state").get();
  database.close();
  const { last_sequence: accepted, count: waiting, ...lost } = { ...state } as Record<string, number>;
  assert.deepEqual(lost, { dropped: 0, expired: 0, refused: 0 });
  assert.ok(accepted! > ROUNDS, `${accepted} readings were accepted`);
  assert.deepEqual(
    broker.sequences().filter((n) => n <= accepted! - waiting!),
    Array.from({ length: accepted! - waiting! }, (_, index) => index + 1),
    "every number up to the last arrived",
  );
  assert.equal(new Set(broker.arrivals.map(({ outbox }) => outbox)).size, 1);
  assert.ok(broker.arrivals.length > broker.sequences().length, "doubles came, else nothing was tested");
  const byNumber = new Map<number, string>();
  for (const { sequence, payload } of broker.arrivals) {
    const text = JSON.stringify(payload);
    assert.equal(byNumber.get(sequence) ?? text, text, `number ${sequence} stands for one reading only`);
    byNumber.set(sequence, text);
  }
  const times = [...byNumber.entries()]
    .sort(([a], [b]) => a - b)
    .map(([, text]) => (JSON.parse(text) as { ts: number }).ts);
  assert.ok(
    times.every((time, i) => i === 0 || time > times[i - 1]!),
    "in order, no moment twice",
  );
  await proxy.close();
  await broker.close();
  device.remove();
});

test("a second process on the same folder ends with the first one's pid; after SIGKILL the folder is free", async () => {
  const authority = await TestAuthority.make();
  const broker = await FakeBroker.start({ ca: authority.ca, issued: await authority.server() });
  const device = writeTestDevice({ broker: broker.url, ca: authority.ca, issued: await authority.device("dev") });
  const first = new AgentProcess(device.config);
  await broker.until(() => broker.connects.length === 1);
  const second = new AgentProcess(device.config);
  assert.equal(await second.ended(), 3);
  assert.match(second.errors, new RegExp(`DATA_FOLDER_LOCKED`));
  assert.match(second.errors, new RegExp(`process ${first.pid}\\b`));
  await first.end("SIGKILL");
  const third = new AgentProcess(device.config);
  await broker.until(() => broker.connects.length === 2);
  assert.equal(await third.end("SIGTERM"), 0);
  await broker.close();
  device.remove();
});
