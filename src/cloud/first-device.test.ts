import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SimClock, SimLogger } from "../../sim/world.ts";
import { dataFolderHolder } from "../adapters/data-folder.ts";
import { seconds } from "../base/mod.ts";
import { SupervisedAgent, startFirstDevice, thingNameOf } from "./first-device.ts";

const PROGRAM = [join(import.meta.dirname, "first-device.fixture.ts")];

class Place implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "tidewire-first-"));
  /** Of the newest supervisor; that of an earlier one stands still, as its platform is dead. */
  clock = new SimClock();
  readonly logger = new SimLogger();
  readonly #agents: SupervisedAgent[] = [];
  readonly #pids = new Set<number>();

  /** The platform of one life; several may follow each other on the same folder. */
  supervise(broker = "mqtts://127.0.0.1:1"): SupervisedAgent {
    this.clock = new SimClock();
    const agent = new SupervisedAgent(this.folder, {
      broker,
      logger: this.logger,
      scheduler: this.clock,
      clock: this.clock,
      program: PROGRAM,
    });
    this.#agents.push(agent);
    agent.start();
    return agent;
  }

  /** The process that holds the agent's folder. */
  async holder(): Promise<number> {
    await until(() => dataFolderHolder(join(this.folder, "data")) !== null);
    const pid = dataFolderHolder(join(this.folder, "data"))!;
    this.#pids.add(pid);
    return pid;
  }

  free(): Promise<void> {
    return until(() => dataFolderHolder(join(this.folder, "data")) === null);
  }

  said(text: RegExp): number {
    return this.logger.lines.filter((line) => text.test(line.message)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) void agent.stop();
    for (const pid of this.#pids) if (alive(pid)) process.kill(pid, "SIGKILL");
    await this.clock.run(seconds(10));
    await this.free();
    rmSync(this.folder, { recursive: true });
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("never true");
}

/** Moves simulated time on, in small steps, while real processes come and go. */
async function pass<T>(clock: SimClock, work: Promise<T>): Promise<T> {
  const state = { over: false };
  const done = work.finally(() => (state.over = true));
  while (!state.over) {
    await clock.run(50);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return done;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("an agent that dies is started again, later each time, and its last words are in the log", async () => {
  await using place = new Place();
  writeFileSync(join(place.folder, "crash"), "");
  const agent = place.supervise();
  for (const [i, delay] of [1, 2, 4].entries()) {
    await until(() => place.said(/started again/) === i + 1);
    const { fields } = place.logger.lines.at(-1)!;
    assert.deepEqual([fields["delayMs"], fields["code"], fields["lastWords"]], [seconds(delay), 3, "out of luck\n"]);
    await place.clock.run(seconds(delay) - 1);
    assert.equal(agent.pid, null, "not before its time");
    await place.clock.run(1);
  }
  await agent.stop();
  await place.clock.run(seconds(120));
  assert.equal(agent.pid, null, "stopped means stopped");
});

test("stopping ends the agent at once; one that does not listen is killed after its grace", async () => {
  await using place = new Place();
  const agent = place.supervise();
  const pid = await place.holder();
  assert.equal(agent.pid, pid);
  await agent.stop();
  assert.equal(alive(pid), false);
  writeFileSync(join(place.folder, "deaf"), "");
  const deaf = place.supervise();
  const deafPid = await place.holder();
  const stopped = deaf.stop();
  await place.clock.run(seconds(4));
  assert.equal(alive(deafPid), true);
  await place.clock.run(seconds(2));
  await stopped;
  assert.equal(alive(deafPid), false);
});

test("an agent whose platform was killed records on; the next platform takes it over and ends it in the end", async () => {
  await using place = new Place();
  place.supervise(); // this supervisor is forgotten, as by SIGKILL
  const pid = await place.holder();
  const next = place.supervise();
  assert.equal(next.pid, pid);
  await place.clock.run(seconds(10));
  assert.equal(await place.holder(), pid, "no second one was started");
  assert.equal(place.said(/runs already/), 1);
  await pass(place.clock, next.stop());
  await until(() => !alive(pid)); // it has let go of its folder, which is what `stop` waits for, a moment before it is gone
});

test("an adopted agent that dies is replaced", async () => {
  await using place = new Place();
  place.supervise();
  const pid = await place.holder();
  const next = place.supervise();
  process.kill(pid, "SIGKILL");
  await place.free();
  await place.clock.run(seconds(2));
  const second = await place.holder();
  assert.notEqual(second, pid);
  assert.equal(next.pid, second);
  await next.stop();
});

test("an agent that reports to another address gives way to one that reports here", async () => {
  await using place = new Place();
  place.supervise("mqtts://127.0.0.1:1");
  const pid = await place.holder();
  const next = place.supervise("mqtts://127.0.0.1:2");
  await until(() => !alive(pid));
  await pass(
    place.clock,
    until(() => next.pid !== null && next.pid !== pid),
  );
  await next.stop();
});

test("an agent that somebody runs by hand is left alone, also at the end", async () => {
  await using place = new Place();
  place.supervise();
  const pid = await place.holder();
  rmSync(join(place.folder, "started.json")); // nobody knows that we started it
  const next = place.supervise();
  assert.equal(next.pid, null);
  await next.stop();
  assert.equal(alive(pid), true);
});

test("first start: the thing is provisioned once; a folder that was torn while it was written is made anew", async () => {
  await using place = new Place();
  const provisioned: string[] = [];
  const start = async (): Promise<void> => {
    const device = await startFirstDevice({
      dataDir: place.folder,
      broker: "mqtts://127.0.0.1:1",
      caPem: "ca",
      provision: async (thing) => {
        provisioned.push(thing);
        return { certificatePem: "certificate", privateKeyPem: "key" };
      },
      logger: place.logger,
      scheduler: place.clock,
      clock: place.clock,
      program: PROGRAM,
    });
    await until(() => dataFolderHolder(join(folder, "data")) !== null);
    await device.stop();
  };
  const thing = thingNameOf(hostname());
  const folder = join(place.folder, "devices", thing);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "private-key.pem"), "half a k");
  await start();
  await start();
  assert.deepEqual(provisioned, [thing]);
  assert.equal(readFileSync(join(folder, "private-key.pem"), "utf8"), "key");
  assert.ok(readdirSync(folder).includes("agent.yaml"));
});

test("host names become thing names that AWS IoT allows", () => {
  const cases = [
    ["pump-7", "pump-7"],
    ["pump.plant.example", "pump-plant-example"],
    ["größe", "gr-e"],
    ["", "this-machine"],
    ["x".repeat(300), "x".repeat(128)],
  ] as const;
  for (const [host, name] of cases) assert.equal(thingNameOf(host), name);
});
