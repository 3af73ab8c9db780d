import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { REASON } from "../wire/mqtt/mod.ts";

const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`);

describe("after a crash", () => {
  test("a kept session has its subscriptions, and all that was acknowledged to its publisher", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a/#", { identifier: 3 });
    const publisher = await world.connected("pub");
    await world.run();
    (await world.connected("c1", kept)).cut();
    for (const n of numbers(0, 20)) publisher.publish("a/x", n, { qos: 1, packetId: 1 + Number(n) });
    await world.run(1_500);
    for (const n of numbers(20, 30)) publisher.publish("a/x", n, { qos: 1, packetId: 1 + Number(n) });
    await world.run(10);
    assert.equal(publisher.received.filter((p) => p.type === "puback").length, 30);
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run(1_000);
    assert.equal(back.last("connack")?.sessionPresent, true);
    assert.deepEqual(
      back.publishes.map((p) => p.payload),
      numbers(0, 30),
    );
    assert.deepEqual(back.publishes[25]?.identifiers, [3]);
  });

  test("what was not on disk is gone, and its place is taken by other messages, never by wrong ones", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    const publisher = await world.connected("pub");
    publisher.publish("a", "durable", { qos: 1, packetId: 1 });
    await world.run(100);
    world.journal.mode = "held";
    publisher.publish("a", "lost", { qos: 1, packetId: 2 });
    publisher.publish("a", "lost too", { qos: 1, packetId: 3, retain: true });
    await world.run(5_000);
    await world.crashAndRestart();
    world.journal.mode = "automatic";
    const again = await world.connected("pub");
    again.publish("b", "not for c1", { qos: 1, packetId: 1 });
    again.publish("b", "neither", { qos: 1, packetId: 2 });
    await world.run();
    const back = (await world.connected("c1", kept)).subscribe("a", { packetId: 5 });
    await world.run();
    assert.deepEqual(back.take(), ["a=durable"]);
  });

  test("a subscription gets nothing that is older than itself", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub");
    publisher.publish("a", "before", { qos: 1 });
    await world.run(10);
    (await world.connected("c1", kept)).subscribe("a");
    await world.run(10);
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(back.take(), []);
  });

  test("what was acknowledged by the client before the last saving does not come again; what was in flight does, with DUP", async () => {
    const world = await BrokerWorld.started();
    const client = (await world.connected("c1", kept)).subscribe("a");
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 5)) publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    await world.run(10);
    client.acknowledges = false;
    for (const n of numbers(5, 8)) publisher.publish("a", n, { qos: 1, packetId: 1 + Number(n) });
    await world.run(1_500);
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run(100);
    assert.deepEqual(
      back.publishes.map((p) => [p.payload, p.dup]),
      [
        ["5", true],
        ["6", true],
        ["7", true],
      ],
    );
  });

  test("retained messages are as they were: set, replaced and removed", async () => {
    const world = await BrokerWorld.started();
    const publisher = await world.connected("pub");
    const properties = { contentType: "text/plain" };
    publisher.publish("r/saved", "1", { retain: true, qos: 1, packetId: 1, properties });
    publisher.publish("r/replaced", "old", { retain: true });
    publisher.publish("r/removed", "old", { retain: true });
    await world.run(1_500);
    publisher.publish("r/replaced", "new", { retain: true });
    publisher.publish("r/removed", "", { retain: true });
    publisher.publish("r/late", "2", { retain: true });
    await world.run(10);
    await world.crashAndRestart();
    const late = (await world.connected("late")).subscribe("r/#");
    await world.run();
    assert.deepEqual(late.publishes.map((p) => `${p.topic}=${p.payload}`).sort(), [
      "r/late=2",
      "r/replaced=new",
      "r/saved=1",
    ]);
    assert.deepEqual(late.publishes.find((p) => p.topic === "r/saved")?.properties, properties);
  });

  test("sessions end when their time is over, counted from when their client left", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    await world.run(300_000);
    await world.crashAndRestart();
    await world.run(290_000);
    assert.equal(world.state.sessions.has("c1"), true);
    await world.run(20_000);
    assert.equal(world.state.sessions.has("c1"), false);
  });

  test("sessions are their things', also before their clients are back", async () => {
    const world = await BrokerWorld.started({ limits: { sessionsPerThingMax: 2 } });
    world.admit = (_peer, { clientId }) => ({ admitted: true, thing: "hoarder", authorizer: world.policy(clientId) });
    for (const id of ["h1", "h2"]) (await world.connected(id, kept)).cut();
    await world.crashAndRestart();
    assert.equal((await world.connected("h3", kept)).last("connack")?.reasonCode, REASON.quotaExceeded);
    (await world.connected("h1", { cleanStart: true })).disconnect();
    assert.equal((await world.connected("h3", kept)).last("connack")?.reasonCode, 0);
    world.admit = (_peer, { clientId }) => ({
      admitted: true,
      thing: `of ${clientId}`,
      authorizer: world.policy(clientId),
    });
    (await world.connected("h2", kept)).cut();
    await world.crashAndRestart();
    assert.deepEqual(
      [...world.state.sessions].map(([id, { session }]) => [id, session.thing]),
      [["h2", "of h2"], ["h3", "hoarder"]], // prettier-ignore
    );
  });

  test("a session without expiry is gone", async () => {
    const world = await BrokerWorld.started();
    await world.connected("c1", kept);
    (await world.connected("c1", { cleanStart: false, sessionExpirySeconds: 0 })).subscribe("a");
    await world.run();
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    assert.equal(back.last("connack")?.sessionPresent, false);
  });

  test("the will of a client that does not come back is published; that of one who does is not", async () => {
    const world = await BrokerWorld.started();
    const will = {
      topic: "w",
      payload: new TextEncoder().encode("gone"),
      qos: 1,
      retain: true,
      delaySeconds: 0,
      properties: null,
    } as const;
    await world.connected("stays-away", { will });
    await world.connected("returns", { ...kept, will: { ...will, topic: "w2" } });
    await world.crashAndRestart();
    await world.connected("returns", { ...kept, will: { ...will, topic: "w2" } });
    const watcher = (await world.connected("watcher", { keepAliveSeconds: 3600 })).subscribe("#");
    await world.run(world.limits.willGraceAfterRestart + 1_000);
    assert.deepEqual(watcher.take(), ["w=gone"]);
    assert.deepEqual([...world.state.sessions.keys()], ["returns"]);
  });

  test("an orderly stop keeps queues to the last message, and wills for the next start", async () => {
    const world = await BrokerWorld.started();
    const will = {
      topic: "w",
      payload: new TextEncoder().encode("gone"),
      qos: 0,
      retain: false,
      delaySeconds: 0,
      properties: null,
    } as const;
    (await world.connected("c1", kept)).subscribe("a").cut();
    await world.connected("c2", { will });
    const publisher = await world.connected("pub");
    publisher.publish("a", "last", { qos: 1 });
    await world.run();
    const closed = world.broker.close();
    await world.run(100);
    await closed;
    assert.equal(world.journal.messages.length, 1, "no will yet");
    assert.equal(world.state.appliedOffset, 1);
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run(100);
    assert.deepEqual(back.take(), ["a=last"]);
    await world.run(60_000);
    assert.equal(world.journal.messages.at(-1)?.topic, "w");
  });

  test("a journal that is shorter than the state says is survived, loudly", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    (await world.connected("pub")).publish("a", "x", { qos: 1, retain: true });
    await world.run(1_500);
    world.journal.messages.length = 0;
    world.journal.durable = 0;
    await world.crashAndRestart();
    const back = (await world.connected("c1", kept)).subscribe("a");
    await world.run();
    assert.deepEqual(back.take(), []);
    assert.ok(world.logger.lines.some((l) => l.level === "error" && l.message.includes("ahead of the log")));
  });

  /** `c1` was told all that a log had which then lost all but its first message. */
  async function cutLog(): Promise<BrokerWorld> {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a");
    (await world.connected("pub")).publish("a", "1", { qos: 1 }).publish("a", "2").publish("a", "3");
    await world.run(1_500);
    assert.ok(world.state.appliedOffset > 1);
    world.journal.messages.length = world.journal.durable = 1;
    return world;
  }

  test("what stands where a journal lost messages comes to queues that were saved with these, also over a second crash", async () => {
    const world = await cutLog();
    await world.crashAndRestart();
    world.state.saveProgress = () => new Promise(() => {});
    const publisher = await world.connected("pub");
    publisher.publish("a", "new", { qos: 1 });
    await world.run(10);
    assert.equal(publisher.last("puback")?.reasonCode, 0);
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    await world.run(10);
    assert.deepEqual(back.take(), ["a=new"]);
  });

  test("nobody is let in while the store, which is ahead of the journal, cannot be told so", async () => {
    const world = await cutLog();
    world.state.saveProgress = () => Promise.reject(new Error("disk full"));
    await assert.rejects(world.crashAndRestart(), /ahead of a log that was cut/);
    assert.ok(world.logger.lines.some((l) => l.level === "error" && l.fields?.["error"] === "disk full"));
  });
});

describe("the state store", () => {
  test("has the session before CONNACK leaves, and the subscription before SUBACK", async () => {
    const world = await BrokerWorld.started();
    let open: () => void = () => {};
    world.state.gate = new Promise((resolve) => (open = resolve));
    const client = await world.connected("c1", kept);
    client.subscribe("a");
    const other = await world.connected("other");
    await world.run(2_000);
    assert.equal(client.received.length, 0, "nothing leaves before it is saved");
    assert.equal(other.last("connack")?.reasonCode, 0, "and nobody else waits for it");
    open();
    world.state.gate = Promise.resolve();
    await world.run(100);
    assert.deepEqual(
      client.received.map(({ type }) => type),
      ["connack", "suback"],
    );
    assert.deepEqual([...world.state.sessions.get("c1")!.subscriptions.keys()], ["a"]);
  });

  test("that fails: no CONNACK and no SUBACK that it does not cover; once it works again, all is saved", async () => {
    const world = await BrokerWorld.started();
    const before = (await world.connected("before", kept)).subscribe("a");
    await world.run();
    before.received.length = 0;
    world.state.failure = new Error("disk I/O error");
    before.subscribe("b");
    const during = await world.connected("during", kept);
    await world.run(100);
    assert.deepEqual([before.received, during.received], [[], []]);
    assert.deepEqual([before.state, during.state], ["destroyed", "destroyed"]);
    assert.equal(world.metrics.value("tidewire_mqtt_refused_total", { reason: "state-failed" }), 2);
    world.state.failure = null;
    await world.run(5_000);
    const back = await world.connected("before", kept);
    await world.run(100);
    assert.equal(back.last("connack")?.sessionPresent, true);
    assert.ok(world.state.sessions.get("before")?.subscriptions.has("b"));
  });

  test("that fails while queues are saved costs nothing but a later replay", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    const publisher = await world.connected("pub", { keepAliveSeconds: 3600 });
    await world.run(1_500);
    world.state.failure = new Error("disk I/O error");
    publisher.publish("a", "1", { qos: 1, retain: true });
    await world.run(3_000);
    world.state.failure = null;
    publisher.publish("a", "2", { qos: 1 });
    await world.run(3_000);
    await world.crashAndRestart();
    const back = (await world.connected("c1", kept)).subscribe("a");
    await world.run(100);
    assert.deepEqual(back.take(), ["a=1", "a=2", "a=1"], "both queued, and the retained one once more");
  });

  test("many changes in one turn are one call", async () => {
    const world = await BrokerWorld.started();
    let calls = 0;
    const save = world.state.saveSessions.bind(world.state);
    world.state.saveSessions = (...given) => {
      calls++;
      return save(...given);
    };
    const clients = numbers(0, 50).map((id) =>
      world
        .client()
        .connect({ clientId: id, ...kept })
        .subscribe("a"),
    );
    await world.run();
    assert.ok(clients.every((c) => c.last("suback")?.reasonCodes[0] === REASON.grantedQos1));
    assert.equal(calls, 1);
  });
});
