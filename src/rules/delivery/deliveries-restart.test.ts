/** What was on its way, or waits, when the platform is killed, is stopped, or cannot write. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { minutes, seconds } from "../../base/mod.ts";
import { Receiver, World } from "../rules.fixture.ts";
import type { WorldOptions } from "../rules.fixture.ts";
import { idsAt, webhookRule } from "./deliveries.fixture.ts";

let receiver: Receiver;
let world: World;

async function begin(options: WorldOptions = {}): Promise<void> {
  world = await World.start(options);
}

describe("deliveries over a crash and a restart", () => {
  beforeEach(async () => {
    receiver = await Receiver.start();
  });

  afterEach(async () => {
    await world.close();
    await Receiver.downAll();
  });

  /** Message 1 is under way to a receiver that does not answer; 0 and 2 were delivered. */
  async function oneHangs(): Promise<Receiver> {
    await begin();
    const hung = await Receiver.start();
    hung.standing = "hang";
    world.rules.put("hung", webhookRule(hung.url, "SELECT * FROM 'a/hung'"));
    world.rules.put("fine", webhookRule(receiver.url, "SELECT * FROM 'a/fine'"));
    world.publish("a/fine", { n: 0 });
    world.publish("a/hung", { n: 1 });
    world.publish("a/fine", { n: 2 });
    world.clock.advance(0);
    await Promise.all([receiver.count(2), hung.count(1)]);
    await world.metricReaches("tidewire_delivery_attempts_total", { kind: "webhook", outcome: "delivered" }, 2);
    return hung;
  }

  test("a crash before anything was saved: the log is replayed, the receiver sees the same ids", async () => {
    await begin();
    world.rules.put("hot", webhookRule(receiver.url));
    await receiver.down();
    for (let n = 0; n < 5; n++) world.publish("a", { n });
    await world.pass(0);
    assert.equal(world.rules.checkpoint(), 0, "neither done nor saved");
    await world.crash();
    assert.equal(world.resumeFrom, 0);
    await receiver.up();
    await world.pass(minutes(1), seconds(1));
    assert.deepEqual(idsAt(receiver), new Set(["hot-0", "hot-1", "hot-2", "hot-3", "hot-4"]));
    assert.equal(receiver.received.length, 5);
  });

  test("a crash after the save: what waits is sent, nothing is replayed", async () => {
    await begin();
    world.rules.put("hot", webhookRule(receiver.url));
    await receiver.down();
    for (let n = 0; n < 5; n++) world.publish("a", { n });
    await world.pass(seconds(1));
    assert.equal(world.rules.checkpoint(), 5);
    await world.crash();
    assert.equal(world.resumeFrom, 5);
    await receiver.up();
    await world.pass(minutes(1), seconds(1));
    assert.equal(receiver.received.length, 5);
  });

  test("a save in the midst of a message does not move the checkpoint past what that message is still to cause", async () => {
    const other = await Receiver.start();
    await begin();
    world.rules.put("a", webhookRule(receiver.url));
    world.rules.put("b", webhookRule(other.url, "SELECT * FROM 'a' WHERE n = 498"));
    await receiver.down();
    world.publish("a", { n: -1 });
    await world.pass(0);
    for (let n = 0; n < 499; n++) world.publish("a", { n }); // the last one fills what may be unsaved
    assert.ok(world.store.load().waiting >= 499, "it was saved without waiting for its time");
    await world.crash();
    await world.pass(seconds(1));
    assert.deepEqual(other.bodies, ['{"n":498}']);
  });

  test("one that hangs keeps the checkpoint before it; replayed, the others come again with their ids", async () => {
    const hung = await oneHangs();
    world.clock.advance(seconds(2));
    assert.equal(world.rules.checkpoint(), 1);
    await hung.down(); // the request fails only after the crash
    await world.crash();
    assert.equal(world.resumeFrom, 1);
    await hung.up();
    hung.standing = 200;
    await world.pass(minutes(1), seconds(1));
    assert.deepEqual(
      hung.received.map((r) => r.headers["webhook-id"]),
      ["hung-1", "hung-1"],
    );
    assert.deepEqual(new Set(receiver.received.map((r) => r.headers["webhook-id"])), new Set(["fine-0", "fine-2"]));
  });

  test("one that hangs for longer is saved, and holds the checkpoint no more: after a crash the others get nothing again", async () => {
    const hung = await oneHangs();
    for (let n = 0; n < 5; n++) world.clock.advance(seconds(1));
    assert.equal(world.rules.checkpoint(), 3);
    await hung.down(); // the request fails only after the crash
    await world.crash();
    assert.equal(world.resumeFrom, 3);
    await hung.up();
    hung.standing = 200;
    await world.pass(minutes(1), seconds(1));
    assert.deepEqual(
      hung.received.map((r) => r.headers["webhook-id"]),
      ["hung-1", "hung-1"],
    );
    const fine = receiver.received.map((r) => r.headers["webhook-id"]);
    assert.deepEqual([fine.length, new Set(fine)], [2, new Set(["fine-0", "fine-2"])]);
    assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
  });

  test("times have fractions of a millisecond, and what waits is saved all the same", async () => {
    await begin();
    world.rules.put("hot", webhookRule(receiver.url));
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    receiver.answers.push({ status: 503, after: first.promise }, { status: 500, after: second.promise });
    for (let n = 0; n < 2; n++) world.publish("a", { n });
    world.clock.advance(0);
    await receiver.count(2);
    const failed = { kind: "webhook", outcome: "failed" };
    for (const [n, one] of [first, second].entries()) {
      world.clock.advance(0.25); // the second fails while the receiver is blocked for the first
      one.resolve();
      await world.metricReaches("tidewire_delivery_attempts_total", failed, n + 1);
    }
    await world.pass(seconds(3), seconds(1));
    assert.equal(world.metrics.value("tidewire_rules_save_failures_total"), 0);
    await world.pass(minutes(1), seconds(1));
    assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
    assert.equal(new Set(receiver.bodies).size, 2);
  });

  test("a clean stop saves what was on its way: nothing is replayed", async () => {
    await begin();
    world.rules.put("hot", webhookRule(receiver.url));
    for (let n = 0; n < 50; n++) world.publish("a", { n }); // no turn of the loop passes: all are queued
    await world.restart();
    assert.equal(world.resumeFrom, 50);
    await world.pass(minutes(1), seconds(1));
    assert.equal(new Set(receiver.bodies).size, 50);
  });

  test("a saved delivery that is replayed because of an older one is not made twice", async () => {
    await begin();
    const hung = await Receiver.start();
    hung.standing = "hang";
    world.rules.put("hung", webhookRule(hung.url, "SELECT * FROM 'a/hung'"));
    world.rules.put("down", webhookRule(receiver.url, "SELECT * FROM 'a/down'"));
    await receiver.down();
    world.publish("a/hung", {});
    world.publish("a/down", {});
    world.clock.advance(0);
    await world.metricReaches("tidewire_delivery_attempts_total", { kind: "webhook", outcome: "failed" }, 1);
    world.clock.advance(seconds(1));
    assert.equal(world.rules.checkpoint(), 0);
    await hung.down();
    await world.crash();
    assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 1);
    await receiver.up();
    await hung.up();
    hung.standing = 200;
    await world.pass(minutes(1), seconds(1));
    assert.equal(receiver.received.length, 1);
  });

  test("while the store cannot be written nothing is lost, and the checkpoint stays", async () => {
    await begin();
    world.rules.put("hot", webhookRule(receiver.url));
    await receiver.down();
    const save = world.store.save.bind(world.store);
    world.store.save = () => {
      throw new Error("disk full");
    };
    for (let n = 0; n < 20; n++) world.publish("a", { n });
    await world.pass(seconds(5), seconds(1));
    assert.equal(world.rules.checkpoint(), 0);
    assert.ok(world.metrics.value("tidewire_rules_save_failures_total") >= 2);
    world.store.save = save;
    await receiver.up();
    await world.pass(minutes(2), seconds(1));
    assert.equal(new Set(receiver.bodies).size, 20);
    assert.equal(world.rules.checkpoint(), 20);
  });
});
