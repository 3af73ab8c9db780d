import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { seconds } from "../base/mod.ts";
import { Receiver, World } from "./rules.fixture.ts";

let world: World;
let receiver: Receiver;

describe("what people are told of a rule", () => {
  beforeEach(async () => {
    [receiver, world] = await Promise.all([Receiver.start(), World.start()]);
    world.rules.put("hot", { sql: "SELECT n FROM 'a/#' WHERE n > 1", actions: [{ webhook: { url: receiver.url } }] });
  });
  afterEach(async () => {
    await world.close();
    await Receiver.downAll();
  });

  test("how often it matched, when last, and what was delivered", async () => {
    const publishedAt = world.clock.now();
    for (const n of [1, 2, 3]) world.publish("a/b", { n });
    await world.pass(seconds(1));
    const { matched, lastMatchAt, delivered, dead, deliveryFailure } = world.rules.activity("hot")!;
    assert.deepEqual([matched, delivered, dead, deliveryFailure], [2, 2, 0, null]);
    assert.equal(lastMatchAt, publishedAt);
    const [state, ...others] = world.rules.receivers("hot");
    assert.deepEqual(others, []);
    assert.deepEqual(
      [state!.kind, state!.label, state!.waiting, state!.failures, state!.lastFailure],
      ["webhook", new URL(receiver.url).origin, 0, 0, null],
    );
    assert.ok(state!.lastSuccessAt !== null);
  });

  test("who does not answer: what waits for him, for how long he is left alone, and why", async () => {
    receiver.standing = 503;
    for (const n of [2, 3, 4]) world.publish("a/b", { n });
    await world.pass(0);
    const { delivered, retried, deliveryFailure } = world.rules.activity("hot")!;
    assert.deepEqual([delivered, retried, deliveryFailure?.reason], [0, 3, "HTTP 503"]);
    const [state] = world.rules.receivers("hot");
    assert.equal(state!.waiting, 3);
    assert.ok(state!.blockedFor > 0 && state!.failures > 0);
    assert.equal(state!.lastFailure?.reason, "HTTP 503");
    assert.equal(state!.lastSuccessAt, null);
  });

  test("what nobody takes is counted once as dead, and its receiver among those with dead letters", async () => {
    receiver.standing = 404;
    for (const n of [2, 3]) world.publish("a/b", { n });
    await world.pass(seconds(1));
    assert.equal(world.rules.activity("hot")!.dead, 2);
    const [group, ...others] = world.rules.dead.receivers();
    assert.deepEqual(others, []);
    const [state] = world.rules.receivers("hot");
    assert.deepEqual(group, {
      receiver: state!.key,
      carrier: "webhook",
      label: new URL(receiver.url).origin,
      count: 2,
      newest: world.rules.dead.list({ limit: 1 })[0]!.number,
    });
  });

  test("counts stay while a rule is changed, and go with it; one that does not run has none", () => {
    world.publish("a/b", { n: 2 });
    world.rules.put("hot", { sql: "SELECT n FROM 'a/#' WHERE n > 100", actions: [{ webhook: { url: receiver.url } }] });
    assert.equal(world.rules.activity("hot")!.matched, 1);
    world.rules.disable("hot");
    assert.equal(world.rules.activity("hot"), null);
    assert.equal(world.rules.receivers("hot").length, 1);
    world.rules.delete("hot");
    world.rules.put("hot", { sql: "SELECT n FROM 'a/#'", actions: [{ webhook: { url: receiver.url } }] });
    assert.equal(world.rules.activity("hot")!.matched, 0);
    world.rules.put("stored", { sql: "SELECT * FROM 'b/#'", actions: [{ telemetry: {} }] });
    assert.equal(world.rules.activity("stored"), null);
  });
});
