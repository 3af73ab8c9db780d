import assert from "node:assert/strict";
import { test } from "node:test";
import { SimRandom } from "../../sim/world.ts";
import { AgentProcess } from "./support/agent-process.ts";
import { addDevice } from "./support/device.ts";
import { FlakyProxy } from "./support/flaky-proxy.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

interface SeriesAnswer {
  readonly truncated: boolean;
  readonly series: readonly {
    readonly field: string;
    readonly times: readonly number[];
    readonly values: readonly number[];
  }[];
}

const THING = "edge-1";
const ROUNDS = Number(process.env["TIDEWIRE_CHAOS_ROUNDS"] ?? 14);
const SEED = Number(process.env["TIDEWIRE_CHAOS_SEED"] ?? 20_261_121);

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Every stored reading of one field, in the order of its time. */
async function storedTimes(platform: PlatformProcess): Promise<readonly number[]> {
  const path = `/api/series?thing=${THING}&measurement=system&fields=uptime.seconds&from=-1h&to=%2B1h`;
  const { series, truncated } = await platform.api<SeriesAnswer>("GET", path);
  assert.equal(truncated, false);
  return series[0]?.times ?? [];
}

test(`agent, network and platform fail at random moments (seed ${SEED}): every accepted reading is stored exactly once, in order`, async () => {
  const folder = temporaryFolder();
  const random = new SimRandom(SEED);
  let platform = await PlatformProcess.start(folder.path);
  const ports = platform.samePorts();
  const proxy = await FlakyProxy.start(platform.mqttsPort);
  const device = await addDevice(platform, folder.path, THING, `mqtts://127.0.0.1:${proxy.port}`);
  AgentProcess.configure(device.folder, "every: 1s", "every: 100ms");
  let agent = AgentProcess.start(device.folder);
  await until("the first readings", async () => (await storedTimes(platform)).length > 3);

  for (let round = 0; round < ROUNDS; round++) {
    const fault = random.pick(["cut", "stalled", "kill platform", "kill agent", "kill both"] as const);
    if (fault === "cut" || fault === "stalled") proxy.set(fault);
    if (fault === "kill platform" || fault === "kill both") await platform.kill();
    if (fault === "kill agent" || fault === "kill both") await agent.kill();
    await sleep(200 + random.below(1500));
    proxy.set("open");
    if (fault === "kill platform" || fault === "kill both") platform = await PlatformProcess.start(folder.path, ports);
    if (fault === "kill agent" || fault === "kill both") agent = AgentProcess.start(device.folder);
    await sleep(random.below(1500));
  }

  await until("the outbox to drain", async () => agent.outbox().waiting <= 2, 600);
  await agent.stop();
  agent = AgentProcess.start(device.folder); // what the stop left behind is sent by the next start
  await until("the outbox to drain", async () => agent.outbox().waiting <= 2, 600);
  await agent.stop();
  const { lastSequence, waiting, lost } = agent.outbox();
  assert.equal(lost, 0, "the outbox gave nothing up");
  const accepted = lastSequence - waiting;
  assert.ok(accepted > 50, `${accepted} readings were accepted`);
  const times = await until(`${accepted} stored readings`, async () => {
    const found = await storedTimes(platform);
    return found.length >= accepted && found;
  });
  assert.equal(times.length, accepted, "exactly once");
  assert.equal(new Set(times).size, times.length, "no reading twice");
  assert.ok(
    times.every((time, i) => i === 0 || time > times[i - 1]!),
    "in order",
  );
  await platform.stop();
  await proxy.close();
  folder.remove();
});

test("a network fault alone leaves no hole in the chart: readings are a steady tenth of a second apart throughout", async () => {
  const folder = temporaryFolder();
  const platform = await PlatformProcess.start(folder.path);
  const proxy = await FlakyProxy.start(platform.mqttsPort);
  const device = await addDevice(platform, folder.path, THING, `mqtts://127.0.0.1:${proxy.port}`);
  AgentProcess.configure(device.folder, "every: 1s", "every: 100ms");
  const agent = AgentProcess.start(device.folder);
  await until("the first readings", async () => (await storedTimes(platform)).length > 3);
  const from = (await storedTimes(platform)).at(-1)!;
  proxy.set("cut");
  await sleep(3000);
  proxy.set("open");
  const times = await until("the readings of the time without network, and some after it", async () => {
    const found = (await storedTimes(platform)).filter((time) => time >= from);
    return found.at(-1)! > from + 5000 && found;
  });
  const expected = (times.at(-1)! - times[0]!) / 100;
  assert.ok(times.length > expected * 0.8, `${times.length} readings where about ${expected} belong`);
  await agent.stop();
  await platform.stop();
  await proxy.close();
  folder.remove();
});
