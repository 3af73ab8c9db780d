import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AgentWorld } from "../../sim/agent-world.ts";
import { LIMITS, seconds } from "../base/mod.ts";
import { PacketWriter } from "../wire/mqtt/mod.ts";
import { CURABLE_REFUSALS } from "./courier.ts";

const { acknowledgeTimeout, keepAlive, pingTimeout, refusalAttemptsMax, reconnectDelayMax } = LIMITS.edge;

function online(seed = 1): AgentWorld {
  const world = new AgentWorld(seed);
  world.run(1000);
  assert.equal(world.agent.uplink.status().state, "online");
  return world;
}

const sequences = (world: AgentWorld): number[] => world.broker.arrivals.map(({ sequence }) => sequence);

const warnings = (world: AgentWorld): string[] =>
  world.logger.lines.filter(({ level }) => level !== "debug" && level !== "info").map((line) => JSON.stringify(line));

test("it introduces itself: MQTT 5, the thing's name, clean start, no session behind, its keep-alive", () => {
  const [connect] = online().broker.connects;
  assert.equal(connect?.version, 5);
  assert.equal(connect.clientId, "a");
  assert.equal(connect.cleanStart, true);
  assert.equal(connect.sessionExpirySeconds, 0);
  assert.equal(connect.keepAliveSeconds, 30);
  assert.equal(connect.will, null);
});

test("each reading carries its outbox and number, and leaves the outbox on its PUBACK", () => {
  const world = online();
  world.broker.behaviour.pubackDelay = () => 500;
  world.put("one");
  world.run(300);
  assert.deepEqual(
    world.broker.arrivals.map(({ topic, outbox, sequence, payload }) => ({ topic, outbox, sequence, payload })),
    [{ topic: "telemetry/a/system", outbox: world.agent.outbox.id, sequence: 1, payload: "one" }],
  );
  assert.equal(world.agent.outbox.statistics().waiting, 1);
  world.run(1000);
  assert.equal(world.agent.outbox.statistics().waiting, 0);
  assert.equal(world.agent.uplink.status().delivered, 1);
});

test("no more are on the way than the broker takes at once [MQTT-3.3.4-9], and none of a backlog is left behind", () => {
  const world = new AgentWorld(1);
  world.broker.behaviour.connack = () => ({ reasonCode: 0, receiveMaximum: 3 });
  world.broker.behaviour.pubackDelay = () => 20;
  for (let i = 0; i < 50; i++) world.put(`${i}`);
  world.run(20_000);
  assert.equal(world.broker.mostUnacknowledged, 3);
  assert.equal(world.broker.stored.length, 50);
});

test("PUBACKs in any order", () => {
  const world = online(3);
  world.broker.behaviour.pubackDelay = () => world.random.below(2000);
  for (let i = 0; i < 40; i++) world.put(`${i}`);
  world.run(5000);
  assert.equal(world.agent.outbox.statistics().waiting, 0);
  assert.equal(world.broker.arrivals.length, 40, "none was sent twice");
});

test("no network at all: it records, tries with growing delays, and says why once, not each time", () => {
  const world = new AgentWorld(1);
  world.broker.mode = "refusing";
  for (let i = 0; i < 120; i++) {
    world.put(`${i}`);
    world.run(1000);
  }
  assert.equal(world.agent.outbox.statistics().waiting, 120);
  const { lastLoss, failures } = world.agent.uplink.status();
  assert.match(lastLoss?.reason ?? "", /nobody listens/);
  assert.ok(failures > 5 && failures < 30, `${failures}`);
  assert.equal(warnings(world).length, 1);
  world.broker.mode = "open";
  world.run(reconnectDelayMax + 1000);
  assert.equal(world.broker.stored.length, 120);
});

test("a connection that swallows everything is given up after the acknowledgement timeout, and the readings go again", () => {
  const world = online();
  world.broker.mode = "silent";
  world.put("one");
  world.run(acknowledgeTimeout - 1000);
  assert.equal(world.agent.uplink.status().state, "online");
  world.broker.mode = "open";
  world.run(3000);
  assert.deepEqual(sequences(world), [1]);
  assert.equal(world.broker.connects.length, 2);
  assert.match(world.agent.uplink.status().lastLoss?.reason ?? "", /not acknowledged in time/);
});

test("with nothing to say it pings within the keep-alive, and a ping without answer ends the connection", () => {
  const world = online();
  world.run(10 * keepAlive);
  assert.ok(world.broker.pings >= 10 && world.broker.pings <= 14, `${world.broker.pings}`);
  assert.equal(world.broker.connects.length, 1);
  world.broker.answersPings = false;
  world.run(keepAlive + pingTimeout + 2000);
  assert.equal(world.broker.connects.length, 2);
  assert.match(world.agent.uplink.status().lastLoss?.reason ?? "", /ping/);
});

test("it does not ping while readings keep the connection alive", () => {
  const world = online();
  for (let i = 0; i < 100; i++) {
    world.put("x");
    world.run(1000);
  }
  assert.equal(world.broker.pings, 0);
});

test("the broker's keep-alive is obeyed [MQTT-3.2.2-21]; 0 turns pings off", () => {
  for (const [serverKeepAliveSeconds, least, most] of [
    [5, 20, 30],
    [0, 0, 0],
  ] as const) {
    const world = new AgentWorld(1);
    world.broker.behaviour.connack = () => ({ reasonCode: 0, serverKeepAliveSeconds });
    world.run(seconds(100));
    assert.ok(world.broker.pings >= least && world.broker.pings <= most, `${world.broker.pings}`);
  }
});

test("no CONNACK, no TLS partner: each wait has an end", () => {
  const world = new AgentWorld(1);
  world.broker.behaviour.connack = () => null;
  world.run(LIMITS.edge.greetingTimeout + 2000);
  assert.match(world.agent.uplink.status().lastLoss?.reason ?? "", /did not answer CONNECT/);
  const silent = new AgentWorld(1);
  silent.broker.mode = "silent";
  silent.run(LIMITS.edge.connectTimeout + 10);
  assert.match(silent.agent.uplink.status().lastLoss?.reason ?? "", /nobody answered/);
});

for (const [reasonCode, reason, fix] of [
  [0x87, /not authorized/, /tidewire refused/],
  [0x85, /client identifier/, /thing/],
  [0x89, /busy/, /by itself/],
] as const) {
  test(`CONNACK 0x${reasonCode.toString(16)} is told with a hint, and recording goes on`, () => {
    const world = new AgentWorld(1);
    world.broker.behaviour.connack = () => ({ reasonCode });
    world.put("one");
    world.run(2000);
    const { lastLoss, state } = world.agent.uplink.status();
    assert.equal(state, "waiting");
    assert.match(lastLoss!.reason, reason);
    assert.match(lastLoss!.fix, fix);
    assert.equal(world.agent.outbox.statistics().waiting, 1);
  });
}

test("a broker that goes on with a session where a clean start was asked for is left [MQTT-3.2.2-4]", () => {
  const world = new AgentWorld(1);
  world.broker.behaviour.connack = () => ({ sessionPresent: true, reasonCode: 0 });
  world.put("one");
  world.run(2000);
  assert.match(world.agent.uplink.status().lastLoss!.reason, /session/);
  assert.deepEqual(world.broker.arrivals, []);
});

test("a broker without QoS 1 is refused: nothing else keeps readings safe [MQTT-3.2.2-11]", () => {
  const world = new AgentWorld(1);
  world.broker.behaviour.connack = () => ({ reasonCode: 0, maximumQos: 0 });
  world.put("one");
  world.run(2000);
  assert.match(world.agent.uplink.status().lastLoss!.reason, /no QoS 1/);
  assert.deepEqual(world.broker.arrivals, []);
});

test("two agents with one identity do not throw each other out all the time: it waits long, and says what to do", () => {
  const world = online();
  world.broker.kick(0x8e);
  world.run(reconnectDelayMax / 2 - 1000);
  assert.equal(world.broker.connects.length, 1);
  assert.match(world.agent.uplink.status().lastLoss!.reason, /same identity/);
  assert.match(world.agent.uplink.status().lastLoss!.fix, /Stop the other agent/);
  world.run(reconnectDelayMax);
  assert.equal(world.broker.connects.length, 2);
});

test("closed after the TLS handshake without a word: it names the certificate", () => {
  const world = new AgentWorld(1);
  world.broker.behaviour.connack = () => {
    world.broker.cut();
    return null;
  };
  world.run(1000);
  assert.match(world.agent.uplink.status().lastLoss!.reason, /revoked, inactive or unknown/);
});

test("a quota refusal is tried again until it is taken; nothing becomes a dead letter", () => {
  const world = online();
  let refuse = 12;
  world.broker.behaviour.puback = () => (refuse-- > 0 ? 0x97 : 0);
  for (let i = 0; i < 5; i++) world.put(`${i}`);
  world.run(60_000);
  assert.deepEqual(new Set(world.broker.stored.map(({ sequence }) => sequence)), new Set([1, 2, 3, 4, 5]));
  assert.equal(world.agent.outbox.statistics().refused, 0);
  assert.equal(world.broker.connects.length, 1, "a refusal is no reason to reconnect");
  assert.ok(world.broker.arrivals.length < 40, "with pauses, not in a loop");
});

for (const reasonCode of [0x87, 0x90, 0x99]) {
  test(`a reading refused with 0x${reasonCode.toString(16)} is offered ${refusalAttemptsMax} times, then it is a dead letter and the others pass`, () => {
    const world = online();
    world.broker.behaviour.puback = ({ sequence }) => (sequence === 2 ? reasonCode : 0);
    for (let i = 0; i < 5; i++) world.put(`${i}`);
    world.run(120_000);
    assert.equal(sequences(world).filter((n) => n === 2).length, refusalAttemptsMax);
    assert.deepEqual(new Set(sequences(world)), new Set([1, 2, 3, 4, 5]));
    const statistics = world.agent.outbox.statistics();
    assert.equal(statistics.waiting, 0);
    assert.equal(statistics.refused, 1);
    const [letter] = world.agent.outbox.deadLetters(10);
    assert.equal(letter?.sequence, 2);
    assert.equal(letter.reasonCode, reasonCode);
    const line = warnings(world).find((text) => text.includes("for good"));
    assert.match(line ?? "", new RegExp(`0x${reasonCode.toString(16)}.*fix`));
    assert.equal(line?.includes("dead letters"), true);
  });
}

test("one source that is always refused does not hold up the others", () => {
  const world = online();
  world.broker.behaviour.puback = ({ payload }) => (payload.startsWith("bad") ? 0x87 : 0);
  for (let i = 0; i < 300; i++) {
    world.put(`good ${i}`);
    world.put(`bad ${i}`);
    world.run(1000);
  }
  world.run(60_000);
  const { waiting, refused } = world.agent.outbox.statistics();
  assert.deepEqual({ waiting, refused, stored: world.broker.stored.length }, { waiting: 0, refused: 300, stored: 300 });
});

test("what a policy forbade is sent after the policy was mended and the agent restarted", () => {
  const world = online();
  world.broker.behaviour.puback = () => 0x87;
  for (let i = 0; i < 3; i++) world.put(`${i}`);
  world.run(120_000);
  assert.equal(world.agent.outbox.statistics().waiting, 0);
  world.broker.behaviour.puback = () => 0;
  world.kill();
  world.agent.outbox.exhume(CURABLE_REFUSALS);
  world.run(10_000);
  assert.deepEqual(
    world.broker.stored.map(({ sequence, payload }) => [sequence, payload]),
    [
      [1, "0"],
      [2, "1"],
      [3, "2"],
    ],
  );
});

test("a platform that ends the connection because of one reading: the culprit is found, the innocent arrive", () => {
  const world = online();
  world.broker.behaviour.puback = ({ sequence }) => {
    if (sequence !== 3) return 0;
    world.broker.kick(0x99);
    return null;
  };
  for (let i = 0; i < 6; i++) world.put(`${i}`);
  for (let i = 0; i < 60; i++) world.run(10_000);
  const { waiting, refused } = world.agent.outbox.statistics();
  assert.deepEqual({ waiting, refused }, { waiting: 0, refused: 1 });
  assert.equal(world.agent.outbox.deadLetters(1)[0]?.sequence, 3);
  assert.deepEqual(
    [1, 2, 4, 5, 6].filter((n) => !sequences(world).includes(n)),
    [],
  );
});

test("a reading above the broker's Maximum Packet Size is not sent [MQTT-3.2.2-15] and does not block the others", () => {
  const world = new AgentWorld(1);
  world.broker.behaviour.connack = () => ({ reasonCode: 0, maximumPacketSize: 200 });
  world.put("x".repeat(500));
  world.put("small");
  world.run(5000);
  assert.deepEqual(sequences(world), [2]);
  assert.equal(world.agent.outbox.deadLetters(1)[0]?.reasonCode, 0x95);
});

test("nonsense from the other side ends the connection with a reason, and it tries again", () => {
  const world = online();
  world.broker.inject(Uint8Array.of(0xf0, 0x01, 0x80));
  world.run(200);
  assert.equal(world.agent.uplink.status().failures, 1);
  const writer = new PacketWriter(5);
  writer.suback({ packetId: 1, reasonCodes: [0] });
  const unasked = writer.take();
  world.run(60_000);
  assert.equal(world.agent.uplink.status().state, "online");
  world.broker.inject(unasked);
  world.run(200);
  assert.match(world.agent.uplink.status().lastLoss!.reason, /SUBACK/);
  assert.equal(world.broker.disconnects.at(-1), 0x82);
});

test("stop: what is on the way is awaited for a moment, then it says goodbye; the rest stays", async () => {
  const world = online();
  world.broker.behaviour.pubackDelay = () => 300;
  world.put("one");
  world.run(100);
  let stopped = false;
  const stop = world.agent.uplink.stop().then(() => (stopped = true));
  await world.clock.run(100);
  assert.equal(stopped, false);
  await world.clock.run(1000);
  await stop;
  assert.deepEqual(world.broker.disconnects, [0]);
  assert.equal(world.agent.outbox.statistics().waiting, 0);
});

test("stop does not wait for ever for an acknowledgement, nor offline for anything", async () => {
  const world = online();
  world.broker.behaviour.puback = () => null;
  world.put("one");
  world.run(100);
  const stop = world.agent.uplink.stop();
  await world.clock.run(LIMITS.edge.drainTimeout + 200);
  await stop;
  assert.equal(world.agent.outbox.statistics().waiting, 1);
  assert.equal(world.agent.outbox.take(1)[0]?.sequence, 1);
  const offline = new AgentWorld(1);
  offline.broker.mode = "refusing";
  offline.run(5000);
  await offline.agent.uplink.stop();
  await offline.agent.uplink.stop();
});

test("an outbox that cannot be read costs no crash: it records on and sends when it can be read again", () => {
  const world = online();
  const read = world.store.read.bind(world.store);
  world.store.read = () => {
    throw new Error("SQLITE_CORRUPT");
  };
  world.put("one");
  world.run(1000);
  assert.match(warnings(world).join(), /cannot be read/);
  world.store.read = read;
  world.put("two");
  world.run(1000);
  assert.deepEqual(sequences(world), [1, 2]);
});

describe("a second connection in the place of the first", () => {
  const losses = (world: AgentWorld): number => world.metrics.value("tidewire_uplink_losses_total");

  test("no reading is lost or sent twice, the broker never finds it away, and what comes meanwhile leaves by the new one", () => {
    const world = online();
    world.broker.behaviour.pubackDelay = () => 150;
    for (let i = 0; i < 60; i++) {
      if (i === 20) world.agent.uplink.replace();
      world.put(`${i}`);
      world.run(20);
      assert.equal(world.agent.uplink.status().state, "online");
      assert.ok(world.broker.connections > 0);
    }
    world.run(2000);
    assert.equal(world.broker.connects.length, 2);
    assert.deepEqual(
      sequences(world),
      Array.from({ length: 60 }, (_, i) => i + 1),
    );
    assert.equal(new Set(world.broker.arrivals.map(({ connection }) => connection)).size, 2);
    assert.deepEqual([losses(world), world.broker.connections, world.agent.outbox.statistics().waiting], [0, 1, 0]);
    world.run(reconnectDelayMax);
    assert.deepEqual([world.broker.connects.length, world.broker.disconnects], [2, []]);
    assert.equal(world.agent.uplink.status().state, "online");
  });

  for (const [what, arrange] of [
    ["is refused", (world: AgentWorld) => (world.broker.behaviour.connack = () => ({ reasonCode: 0x87 }))],
    ["gets no answer", (world: AgentWorld) => (world.broker.behaviour.connack = () => null)],
    ["cannot be opened", (world: AgentWorld) => (world.broker.mode = "refusing")],
  ] as const) {
    test(`that ${what}: the first one goes on, and all readings arrive once`, () => {
      const world = online();
      arrange(world);
      world.put("before");
      world.agent.uplink.replace();
      world.put("after");
      world.run(20_000);
      assert.deepEqual(sequences(world), [1, 2]);
      assert.deepEqual([losses(world), world.broker.connections], [0, 1]);
      assert.equal(world.agent.uplink.status().state, "online");
      assert.ok(warnings(world).some((line) => line.includes("came to nothing")));
    });
  }

  test("acknowledgements that do not come in time do not hold it up; those readings are sent again", () => {
    const world = online();
    world.broker.behaviour.puback = () => null;
    world.put("lost");
    world.run(100);
    world.broker.behaviour.puback = () => 0;
    world.agent.uplink.replace();
    world.run(LIMITS.edge.drainTimeout + 2000);
    assert.deepEqual(sequences(world), [1, 1]);
    assert.deepEqual([world.broker.stored.length, world.broker.connections, losses(world)], [1, 1, 0]);
  });

  test("where the first one breaks meanwhile it is an outage like any other, and over soon", () => {
    const world = online();
    world.broker.behaviour.connack = () => null;
    world.agent.uplink.replace();
    world.run(1000);
    world.broker.cut();
    world.put("after");
    world.broker.behaviour.connack = () => ({ reasonCode: 0 });
    world.run(5000);
    assert.equal(world.agent.uplink.status().state, "online");
    assert.deepEqual([losses(world), sequences(world), world.broker.connections], [1, [1], 1]);
  });

  test("while it is not online there is nothing to replace: the attempt is given up for one with the new credentials", () => {
    const world = new AgentWorld(1);
    world.broker.behaviour.connack = () => null;
    world.run(1000);
    assert.equal(world.agent.uplink.status().state, "greeting");
    world.broker.behaviour.connack = () => ({ reasonCode: 0 });
    world.agent.uplink.replace();
    world.run(2000);
    assert.deepEqual([world.agent.uplink.status().state, world.broker.connects.length], ["online", 2]);
  });

  test("stop while it is under way leaves nothing open", async () => {
    const world = online();
    world.agent.uplink.replace();
    const stopped = world.agent.uplink.stop();
    await world.clock.run(5000);
    await stopped;
    assert.deepEqual([world.agent.uplink.status().state, world.broker.connections], ["stopped", 0]);
  });
});
