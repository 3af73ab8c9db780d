/** The agent as a whole: real files, real TLS on loopback, a broker that speaks MQTT through our codec. */
import assert from "node:assert/strict";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DatabaseSync } from "node:sqlite";
import { SimLogger } from "../../sim/world.ts";
import { isTidewireError } from "../base/mod.ts";
import type { Agent, AgentPorts } from "./agent.ts";
import { runAgent } from "./agent.ts";
import type { TestDevice } from "./certificates.fixture.ts";
import { TestAuthority, writeTestDevice } from "./certificates.fixture.ts";
import { loadAgentConfig } from "./config.ts";
import { FakeBroker, TestProxy } from "./fake-broker.fixture.ts";

let authority: TestAuthority;
let broker: FakeBroker;
const leftovers: (() => Promise<void> | void)[] = [];

before(async () => {
  authority = await TestAuthority.make();
});

after(async () => {
  for (const one of leftovers.splice(0).reverse()) await one();
});

interface Running {
  readonly agent: Agent;
  readonly logger: SimLogger;
  readonly device: TestDevice;
  readonly stop: () => Promise<void>;
}

/** Runs an agent against `url` and stops it, whatever happens. */
async function withAgent(
  url: string,
  use: (running: Running) => Promise<void>,
  options: { readonly more?: string; readonly device?: TestDevice; readonly ports?: Partial<AgentPorts> } = {},
): Promise<void> {
  const issued = await authority.device("dev");
  const more = options.more ?? "sources: [{type: system, every: 100ms}]";
  const device = options.device ?? writeTestDevice({ broker: url, ca: authority.ca, issued, more });
  const logger = new SimLogger();
  const agent = await runAgent(await loadAgentConfig(device.config), { logger, ...options.ports });
  try {
    await use({ agent, logger, device, stop: () => agent.stop() });
  } finally {
    await agent.stop();
    if (options.device === undefined) device.remove();
  }
}

async function withBroker(use: () => Promise<void>): Promise<void> {
  broker = await FakeBroker.start({ ca: authority.ca, issued: await authority.server() });
  try {
    await use();
  } finally {
    await broker.close();
  }
}

/** Waits for something without a notice of its own. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

test("readings of this machine arrive over mTLS, stamped, each boundary once", () =>
  withBroker(() =>
    withAgent(broker.url, async ({ agent, stop, device }) => {
      await broker.until(() => broker.arrivals.length >= 8);
      await stop();
      const first = broker.arrivals[0]!;
      assert.equal(first.topic, "telemetry/dev/system");
      assert.equal(first.qos, 1);
      assert.match(first.outbox, /^[0-9a-f]{24}$/);
      assert.deepEqual(Object.keys(first.payload).slice(0, 5), ["ts", "cpu", "load", "memory", "disk"]);
      const times = broker.arrivals.map(({ payload }) => payload["ts"] as number);
      assert.ok(times.every((time) => time % 100 === 0));
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      );
      assert.equal(new Set(times).size, times.length);
      assert.deepEqual(
        broker.sequences(),
        broker.arrivals.map((_, index) => index + 1),
      );
      await broker.until(() => broker.disconnects.length > 0);
      assert.deepEqual(broker.disconnects, [0], "it says goodbye");
      const { outbox, uplink, sources } = agent.status();
      assert.equal(outbox.waiting, 0);
      assert.equal(uplink.state, "stopped");
      assert.equal(sources[0]?.readings, outbox.lastSequence);
      const database = new DatabaseSync(join(device.folder, "data", "outbox.db"), { readOnly: true });
      const state = database.prepare("SELECT last_sequence, count FROM state").get();
      database.close();
      assert.deepEqual({ ...state }, { last_sequence: outbox.lastSequence, count: 0 });
    }),
  ));

test("without any network it starts and records; what it recorded arrives when the platform is there", async () => {
  const probe = await FakeBroker.start({ ca: authority.ca, issued: await authority.server() });
  const { port } = probe;
  await probe.close();
  const issued = await authority.device("dev");
  await withAgent(`mqtts://127.0.0.1:${port}`, async ({ agent, logger }) => {
    await until(() => agent.status().outbox.durable >= 5);
    assert.match(agent.status().uplink.lastLoss?.reason ?? "", /nobody listens/);
    assert.equal(logger.lines.filter((line) => line.level === "warn").length, 1);
    broker = await FakeBroker.start({ ca: authority.ca, issued: await authority.server(), port });
    await broker.until(() => broker.sequences().length >= 8);
    assert.equal(broker.arrivals[0]?.sequence, 1, "the oldest first");
    await broker.close();
  });
  assert.ok(issued.certificate.length > 0);
});

test("a broker's name that does not resolve: it says so and records", () =>
  withAgent("mqtts://no-such-host.invalid", async ({ agent }) => {
    await until(() => agent.status().outbox.durable >= 2 && agent.status().uplink.lastLoss !== null);
    assert.match(agent.status().uplink.lastLoss!.reason, /does not resolve/);
  }));

test("a broker with a certificate for another name is not trusted: nothing is sent", async () => {
  broker = await FakeBroker.start({
    ca: authority.ca,
    issued: await authority.server(["other.example"], ["10.0.0.1"]),
  });
  await withAgent(broker.url, async ({ agent }) => {
    await until(() => agent.status().uplink.lastLoss !== null);
    assert.match(agent.status().uplink.lastLoss!.reason, /certificate is not to be trusted/);
    assert.match(agent.status().uplink.lastLoss!.fix, /--host/);
    assert.deepEqual(broker.connects, []);
  });
  await broker.close();
});

test("a broker whose certificate is from another CA is not trusted", async () => {
  const other = await TestAuthority.make("CN=Somebody else");
  broker = await FakeBroker.start({ ca: authority.ca, issued: await other.server() });
  await withAgent(broker.url, async ({ agent }) => {
    await until(() => agent.status().uplink.lastLoss !== null);
    assert.match(agent.status().uplink.lastLoss!.reason, /certificate is not to be trusted/);
  });
  await broker.close();
});

test("an agent whose certificate the platform does not accept says so and keeps recording", () =>
  withBroker(async () => {
    const other = await TestAuthority.make("CN=Somebody else");
    const device = writeTestDevice({
      broker: broker.url,
      ca: authority.ca,
      issued: await other.device("dev"),
      more: "sources: [{type: system, every: 100ms}]",
    });
    await withAgent(
      broker.url,
      async ({ agent }) => {
        await until(() => agent.status().uplink.lastLoss !== null && agent.status().outbox.durable >= 3);
        assert.match(agent.status().uplink.lastLoss!.reason, /certificate/);
        assert.match(agent.status().uplink.lastLoss!.fix, /tidewire refused/);
        assert.deepEqual(broker.connects, []);
      },
      { device },
    );
    device.remove();
  }));

test("the platform's wish to end the connection is told: shut down, and it is back by itself", () =>
  withBroker(() =>
    withAgent(broker.url, async ({ agent }) => {
      await broker.until(() => broker.arrivals.length >= 2);
      broker.kick(0x8b);
      await until(() => agent.status().uplink.lastLoss !== null);
      assert.match(agent.status().uplink.lastLoss!.reason, /shutting down/);
      const before = broker.arrivals.length;
      await broker.until(() => broker.arrivals.length >= before + 3);
      assert.deepEqual(
        broker.sequences(),
        broker.sequences().map((_, index) => index + 1),
      );
    }),
  ));

test("PUBACKs come shuffled and some never: what is unacknowledged goes again after a cut, nothing is missing", () =>
  withBroker(async () => {
    const proxy = await TestProxy.start(() => broker.port);
    let silent = 0;
    broker.behaviour.puback = () => (++silent % 3 === 0 ? null : 0);
    broker.behaviour.order = (ids) => ids.toReversed();
    await withAgent(`mqtts://127.0.0.1:${proxy.port}`, async ({ agent }) => {
      for (let round = 0; round < 3; round++) {
        const seen = broker.sequences().length;
        await broker.until(() => broker.sequences().length >= seen + 3);
        proxy.set("cut");
        await until(() => agent.status().uplink.state !== "online");
        proxy.set("open");
      }
      broker.behaviour.puback = () => 0;
      broker.cutAll();
      await until(() => agent.status().uplink.state === "online");
      await until(() => agent.status().outbox.waiting === 0);
      const { lastSequence, dropped } = agent.status().outbox;
      const arrived = new Set(broker.sequences());
      for (let sequence = 1; sequence < lastSequence; sequence++) assert.ok(arrived.has(sequence), `${sequence}`);
      assert.equal(dropped, 0);
      assert.ok(broker.arrivals.length > arrived.size, "there were doubles");
    });
    await proxy.close();
  }));

test("two agents on one data folder: the second is told who has it", () =>
  withBroker(() =>
    withAgent(broker.url, async ({ device }) => {
      const config = await loadAgentConfig(device.config);
      await assert.rejects(
        runAgent(config, { logger: new SimLogger() }),
        (error) =>
          isTidewireError(error) &&
          error.code === "DATA_FOLDER_LOCKED" &&
          error.message.includes(String(process.pid)) &&
          error.entry.exit === 3,
      );
    }),
  ));

test("a stopped agent gives its folder free, and its outbox goes on with its numbers under the same id", () =>
  withBroker(async () => {
    const issued = await authority.device("dev");
    const more = "sources: [{type: system, every: 100ms}]";
    const device = writeTestDevice({ broker: broker.url, ca: authority.ca, issued, more });
    for (let round = 1; round <= 3; round++) {
      await withAgent(broker.url, () => broker.until(() => broker.sequences().length >= 3 * round), { device });
    }
    assert.equal(new Set(broker.arrivals.map(({ outbox }) => outbox)).size, 1);
    assert.deepEqual(
      broker.sequences(),
      broker.sequences().map((_, index) => index + 1),
    );
    device.remove();
  }));

test("an outbox that is damaged is moved aside and told; recording starts anew under a new id", () =>
  withBroker(async () => {
    const issued = await authority.device("dev");
    const more = "sources: [{type: system, every: 100ms}]";
    const device = writeTestDevice({ broker: broker.url, ca: authority.ca, issued, more });
    await withAgent(broker.url, () => broker.until(() => broker.arrivals.length >= 1), { device });
    writeFileSync(join(device.folder, "data", "outbox.db"), "no database at all".repeat(1000));
    await withAgent(
      broker.url,
      async ({ logger }) => {
        assert.match(JSON.stringify(logger.lines.filter((line) => line.level === "error")), /damaged.*recover/);
        await broker.until(() => new Set(broker.arrivals.map(({ outbox }) => outbox)).size === 2);
      },
      { device },
    );
    device.remove();
  }));

test("a full outbox drops the oldest, says so in the log and in a reading of its own", async () => {
  const logger = new SimLogger();
  const issued = await authority.device("dev");
  const more = "sources: [{type: system, every: 100ms}]\noutbox: {messages: 100}";
  const device = writeTestDevice({ broker: "mqtts://127.0.0.1:1", ca: authority.ca, issued, more });
  const file = join(device.folder, "data", "outbox.db");
  const agent = await runAgent(await loadAgentConfig(device.config), { logger });
  await until(() => agent.status().outbox.durable >= 1);
  await agent.stop();
  // A backlog as it is after a long time without network, written as the agent itself writes.
  const database = new DatabaseSync(file);
  const insert = database.prepare(
    "INSERT OR IGNORE INTO reading VALUES (?, 'telemetry/dev/system', x'7b7d', 5, 1, NULL, 86)",
  );
  for (let sequence = 1; sequence <= 120; sequence++) insert.run(sequence);
  database.exec("UPDATE state SET last_sequence = 120, count = 120, bytes = 120 * 86");
  database.close();
  rmSync(`${file}-pages`); // or what another program wrote would be damage, and the outbox a new one
  const again = await runAgent(await loadAgentConfig(device.config), { logger });
  await until(() => again.status().outbox.dropped >= 21);
  assert.equal(again.status().outbox.outbox, agent.status().outbox.outbox, "the outbox with the backlog");
  assert.ok(again.status().outbox.waiting <= 100);
  assert.match(JSON.stringify(logger.lines), /outbox is full/);
  await again.stop();
  device.remove();
});

for (const [what, change, reason] of [
  ["certificate missing", (d: TestDevice) => writeFileSync(join(d.folder, "device.crt"), ""), /certificate/],
  ["key of another device", async (d: TestDevice) => replaceKey(d), /does not belong to the certificate/],
  ["CA that is none", (d: TestDevice) => writeFileSync(join(d.folder, "ca.crt"), "hello"), /ca\.crt/],
] as const) {
  test(`start with ${what}: one sentence that names the file`, async () => {
    const issued = await authority.device("dev");
    const device = writeTestDevice({ broker: "mqtts://127.0.0.1:1", ca: authority.ca, issued });
    await change(device);
    await assert.rejects(
      loadAgentConfig(device.config).then((config) => runAgent(config, { logger: new SimLogger() })),
      (error) => isTidewireError(error) && error.code === "CONFIG_VALUE_INVALID" && reason.test(error.message),
    );
    device.remove();
  });
}

async function replaceKey(device: TestDevice): Promise<void> {
  writeFileSync(join(device.folder, "device.key"), (await authority.device("other")).privateKey);
}

test("a private key that others can read is warned about, with the command that mends it", async () => {
  const issued = await authority.device("dev");
  const device = writeTestDevice({ broker: "mqtts://127.0.0.1:1", ca: authority.ca, issued });
  chmodSync(join(device.folder, "device.key"), 0o644);
  await withAgent(
    "",
    async ({ logger }) => {
      assert.match(JSON.stringify(logger.lines), /private key.*chmod 600/);
      await Promise.resolve();
    },
    { device },
  );
  device.remove();
});

test("a data folder that is a file: one sentence, and nothing is left locked", async () => {
  const issued = await authority.device("dev");
  const device = writeTestDevice({ broker: "mqtts://127.0.0.1:1", ca: authority.ca, issued });
  const config = await loadAgentConfig(device.config, { data: device.config });
  await assert.rejects(
    runAgent(config, { logger: new SimLogger() }),
    (error) => isTidewireError(error) && error.code === "DATA_FOLDER_UNUSABLE" && error.entry.exit === 3,
  );
  device.remove();
});

test("an outbox of a newer Tidewire is left alone, and the folder is free again", async () => {
  const issued = await authority.device("dev");
  const device = writeTestDevice({ broker: "mqtts://127.0.0.1:1", ca: authority.ca, issued });
  const config = await loadAgentConfig(device.config);
  await (await runAgent(config, { logger: new SimLogger() })).stop();
  const database = new DatabaseSync(join(device.folder, "data", "outbox.db"));
  database.exec("PRAGMA user_version = 99");
  for (let i = 0; i < 2; i++) {
    await assert.rejects(
      runAgent(config, { logger: new SimLogger() }),
      (error) => isTidewireError(error) && error.code === "DATABASE_NEWER",
    );
  }
  database.exec("PRAGMA user_version = 1");
  database.close();
  await (await runAgent(config, { logger: new SimLogger() })).stop();
  device.remove();
});

for (const [what, notBefore, notAfter, starts] of [
  ["two days before the certificate was made", 2, 10, false],
  ["some hours before the certificate was made", 0.3, 10, true],
  ["after the certificate ended: it records, and asks for another", -10, -0.01, true],
] as const) {
  test(`a clock ${what}: ${starts ? "tolerated" : "refused"}`, async () => {
    const day = 86_400_000;
    const validity = {
      notBefore: new Date(Date.now() + notBefore * day),
      notAfter: new Date(Date.now() + notAfter * day),
    };
    const issued = await authority.device("dev", validity);
    const device = writeTestDevice({ broker: "mqtts://127.0.0.1:1", ca: authority.ca, issued });
    const started = loadAgentConfig(device.config).then((config) => runAgent(config, { logger: new SimLogger() }));
    if (starts) await (await started).stop();
    else {
      await assert.rejects(
        started,
        (error) => isTidewireError(error) && error.code === "CLOCK_IMPLAUSIBLE" && error.entry.exit === 3,
      );
    }
    device.remove();
  });
}
