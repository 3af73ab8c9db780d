import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { encodeUtf8 } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";

const KEPT = { cleanStart: true, sessionExpirySeconds: 3600 };
const WILL = {
  topic: "w",
  payload: encodeUtf8("gone"),
  qos: 0,
  retain: true,
  delaySeconds: 0,
  properties: null,
} as const;

const retained = async (world: BrokerWorld, filter: string): Promise<readonly string[]> =>
  (await world.broker.retained(filter, null, 100)).found.map(({ topic }) => topic);

describe("an administrator ends a connection", () => {
  test("the client is told, and its presence says who did it; its will is published", async () => {
    const world = await BrokerWorld.started();
    const client = await world.connected("c1", { ...KEPT, will: WILL });
    assert.ok(world.broker.endConnection("c1", { cleanSession: false, preventWill: false }));
    await world.run();
    assert.equal(client.last("disconnect")?.reasonCode, REASON.administrativeAction);
    assert.equal(world.presence.at(-1)?.reason, "API_INITIATED_DISCONNECT");
    assert.deepEqual(await retained(world, "w"), ["w"]);
    const back = await world.connected("c1", { ...KEPT, cleanStart: false });
    assert.equal(back.last("connack")?.sessionPresent, true);
  });

  test("without its will, and with its session, where that is asked for", async () => {
    const world = await BrokerWorld.started();
    await world.connected("c1", { ...KEPT, will: WILL });
    assert.ok(world.broker.endConnection("c1", { cleanSession: true, preventWill: true }));
    await world.run(10_000);
    assert.deepEqual(await retained(world, "w"), []);
    const back = await world.connected("c1", { ...KEPT, cleanStart: false });
    assert.equal(back.last("connack")?.sessionPresent, false);
  });

  test("a session whose client is away goes only with cleanSession; its delayed will can still be prevented", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("c1", { ...KEPT, will: { ...WILL, delaySeconds: 60 } })).cut();
    await world.run();
    assert.equal(world.broker.endConnection("c1", { cleanSession: false, preventWill: true }), false);
    assert.equal(world.broker.endConnection("c1", { cleanSession: true, preventWill: true }), true);
    assert.equal(world.broker.endConnection("c1", { cleanSession: true, preventWill: true }), false);
    await world.run(120_000);
    assert.deepEqual(await retained(world, "w"), []);
  });
});

test("retained messages are listed page by page, whole, and without those that have expired", async () => {
  const world = await BrokerWorld.started();
  const own = { clientId: "", thing: null, qos: 1, retain: true } as const;
  const publish = (topic: string, messageExpirySeconds?: number): void => {
    const properties = messageExpirySeconds === undefined ? null : { messageExpirySeconds };
    const message = { ...own, topic, payload: encodeUtf8(topic), receivedAt: world.clock.now(), properties };
    world.broker.publishLocal(message);
  };
  publish("a");
  publish("b", 5);
  publish("c/d");
  await world.run();
  const first = await world.broker.retained("#", null, 2);
  assert.deepEqual(
    first.found.map(({ topic }) => topic),
    ["a", "b"],
  );
  const second = await world.broker.retained("#", first.upTo, 2);
  assert.deepEqual(
    second.found.map(({ topic }) => topic),
    ["c/d"],
  );
  assert.deepEqual([...second.found[0]!.payload], [...encodeUtf8("c/d")]);
  assert.equal(second.found[0]!.qos, 1);
  await world.run(6000);
  assert.deepEqual(await retained(world, "#"), ["a", "c/d"]);
});

test("topics of the platform's own are closed to everybody", async () => {
  const { broker } = await BrokerWorld.started();
  assert.deepEqual(
    ["a", "$aws/things/x/shadow/update", "$aws/events/presence/connected/x", "$SYS/a"].map((topic) =>
      broker.isClosed(topic, false),
    ),
    [false, false, true, true],
  );
});
