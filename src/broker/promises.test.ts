import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";

/** What a client is told about its session, while the store is behind: found by `sim/broker-story.ts`. */
const kept = { cleanStart: false, sessionExpirySeconds: 600, keepAliveSeconds: 3600 } as const;

/** The store takes nothing until the function is called that this returns. */
function closeStore(world: BrokerWorld): () => void {
  let open: () => void = () => {};
  world.state.gate = new Promise((resolve) => (open = resolve));
  return () => {
    world.state.gate = Promise.resolve();
    open();
  };
}

describe("nobody is told of what is not on disk yet:", () => {
  test("a client that comes back while its new session is being saved waits for its CONNACK [MQTT-3.1.2-5]", async () => {
    const world = await BrokerWorld.started();
    const open = closeStore(world);
    const first = await world.connected("c1", kept);
    assert.equal(first.last("connack"), undefined);
    first.cut();
    const second = await world.connected("c1", kept);
    assert.equal(second.last("connack"), undefined, "the session might still be lost");
    open();
    await world.run();
    assert.equal(second.last("connack")?.sessionPresent, true);
  });

  test("an UNSUBSCRIBE that is repeated is answered when the first one has been saved [MQTT-3.10.4-4]", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", kept);
    client.subscribe("a");
    await world.run();
    world.state.failure = new Error("disk full");
    client.unsubscribe("a");
    await world.run();
    assert.equal(client.state, "destroyed");
    const back = world.client().connect({ clientId: "c1", ...kept });
    await world.run();
    back.unsubscribe("a");
    await world.run();
    assert.equal(back.last("unsuback"), undefined, "on disk the subscription is still there");
    world.state.failure = null;
    await world.run(3_000);
    const again = await world.connected("c1", kept);
    await world.run(3_000);
    again.unsubscribe("a");
    await world.run();
    assert.notEqual(again.last("unsuback"), undefined);
    assert.equal(world.state.sessions.get("c1")?.subscriptions.size, 0);
  });

  test("a session that a client without one discards is gone before its CONNACK, also after a crash [MQTT-3.1.2-4]", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", kept)).subscribe("a").cut();
    await world.run(10);
    const open = closeStore(world);
    const clean = await world.connected("c1", { cleanStart: true });
    assert.equal(clean.last("connack"), undefined, "a crash would bring the session back");
    open();
    await world.run();
    assert.equal(clean.last("connack")?.sessionPresent, false);
    await world.crashAndRestart();
    const back = await world.connected("c1", kept);
    assert.equal(back.last("connack")?.sessionPresent, false);
  });
});

test("a client that says No Local is not sent its own will [MQTT-3.8.3-3]", async () => {
  const world = await BrokerWorld.started();
  const will = {
    topic: "gone",
    payload: Uint8Array.of(120),
    qos: 1,
    retain: false,
    delaySeconds: 0,
    properties: null,
  } as const;
  const client = await world.connected("c1", { ...kept, will });
  client.subscribe("gone", { noLocal: true });
  const other = (await world.connected("c2")).subscribe("gone");
  await world.run();
  client.cut();
  await world.run(10);
  assert.deepEqual(other.take(), ["gone=x"]);
  const back = await world.connected("c1", kept);
  assert.deepEqual(back.take(), []);
});
