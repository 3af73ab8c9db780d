import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import type { SimClient } from "../../sim/mqtt-client.ts";
import { ORIGIN_UNKNOWN, SENT_STRIDE } from "../wire/record/mod.ts";
import { JOBS, ascending, kept, payloads, upTo, work, workers } from "./shared-group.fixture.ts";

describe("at QoS 2", () => {
  const exactly = async (world: BrokerWorld, ids: readonly string[], options = {}): Promise<SimClient[]> => {
    const all: SimClient[] = [];
    for (const id of ids) all.push((await world.connected(id, options)).subscribe(JOBS, { qos: 2 }));
    await world.run();
    return all;
  };
  const jobs = async (world: BrokerWorld, count: number): Promise<void> => {
    const publisher = await world.connected("boss");
    for (let i = 0; i < count; i++) publisher.publish("jobs/1", `${i}`, { qos: 2, packetId: 1 + i });
    await world.run();
    publisher.disconnect();
  };

  test("each message goes to one member, at the lower of both QoS", async () => {
    const world = await BrokerWorld.started();
    const [one] = (await exactly(world, ["one"])) as [SimClient];
    const two = (await world.connected("two")).subscribe(JOBS, { qos: 1 });
    await jobs(world, 10);
    assert.deepEqual(ascending([one, two].flatMap(payloads)), upTo(10));
    assert.deepEqual(
      [new Set(one.publishes.map((p) => p.qos)), new Set(two.publishes.map((p) => p.qos))],
      [new Set([2]), new Set([1])],
    );
  });

  test("what has begun waits for its member to come back [MQTT-4.8.2-4]", async () => {
    const world = await BrokerWorld.started();
    const [lost, other] = (await exactly(world, ["lost", "other"], kept)) as [SimClient, SimClient];
    lost.acknowledges = false;
    await jobs(world, 10);
    lost.cut();
    await world.run(1_000);
    assert.equal(other.publishes.length, 5);
    const back = await world.connected("lost", kept);
    await world.run();
    assert.deepEqual(ascending([...payloads(back), ...payloads(other)]), upTo(10));
  });

  test("what has begun goes to nobody else when its session ends; what has not does [MQTT-4.8.2-5]", async () => {
    const world = await BrokerWorld.started();
    const lost = world.client();
    lost.acknowledges = false;
    lost.connect({ clientId: "lost", receiveMaximum: 2 }).subscribe(JOBS, { qos: 2 });
    await jobs(world, 6);
    assert.deepEqual(payloads(lost), [0, 1]);
    const [other] = (await exactly(world, ["other"])) as [SimClient];
    lost.cut();
    await world.run(100);
    assert.deepEqual(ascending(payloads(other)), [2, 3, 4, 5]);
  });

  for (const options of [kept, {}]) {
    const session = "sessionExpirySeconds" in options ? "a kept session" : "a session that the crash ends";
    test(`after a crash: what ${session} was sent goes to no other member [MQTT-4.8.2-4], [MQTT-4.8.2-5]`, async () => {
      const world = await BrokerWorld.started();
      const [absent] = (await exactly(world, ["absent"], kept)) as [SimClient];
      absent.disconnect();
      await world.run(2_000);
      const [there] = (await exactly(world, ["there"], options)) as [SimClient];
      await jobs(world, 8);
      assert.deepEqual(payloads(there), upTo(8));
      await world.crashAndRestart();
      const back = await world.connected("absent", kept);
      const again = await world.connected("there", options);
      await world.run(1_000);
      assert.deepEqual([payloads(back), payloads(again)], [[], []]);
    });
  }

  for (const options of [kept, {}]) {
    const session = "sessionExpirySeconds" in options ? "a kept session" : "a session that the crash ends";
    test(`after a crash: of two groups that share ${session}, only what went out at QoS 1 comes again [MQTT-4.8.2-4], [MQTT-4.8.2-5]`, async () => {
      const world = await BrokerWorld.started();
      const all = "$share/all/#";
      const absent = (await world.connected("absent", kept)).subscribe(all, { qos: 2, identifier: 1 });
      absent.subscribe(JOBS, { qos: 2, identifier: 2 }).disconnect();
      await world.run(2_000);
      const there = (await world.connected("there", options)).subscribe(all, { qos: 1, identifier: 1 });
      there.subscribe(JOBS, { qos: 2, identifier: 2 });
      await jobs(world, 8);
      assert.deepEqual(
        [1, 2].map((group) => there.publishes.filter((p) => p.identifiers[0] === group && p.qos === group).length),
        [8, 8],
      );
      await world.crashAndRestart();
      const back = [await world.connected("absent", kept), await world.connected("there", options)];
      await world.run(1_000);
      const again = back.flatMap(({ publishes }) => publishes);
      // Nothing says who had what the one group sent at QoS 1: it comes to one member again.
      assert.deepEqual(ascending(back.flatMap(payloads)), upTo(8));
      assert.ok(again.every(({ identifiers, retain }) => identifiers[0] === 1 && !retain));
    });
  }

  test("after a crash: what was begun with a session that is over goes to nobody else [MQTT-4.8.2-5]", async () => {
    const world = await BrokerWorld.started();
    const [absent] = (await exactly(world, ["absent"], kept)) as [SimClient];
    absent.disconnect();
    await world.run(2_000);
    const [over] = (await exactly(world, ["over"], kept)) as [SimClient];
    over.acknowledges = false;
    await jobs(world, 4);
    assert.deepEqual(payloads(over), upTo(4));
    over.disconnect(0, 0);
    await world.run(10);
    await world.crashAndRestart();
    const back = await world.connected("absent", kept);
    await world.run(1_000);
    assert.deepEqual(payloads(back), []);
  });

  test("after a crash: what was begun is its member's although it has left the group, and comes as it came", async () => {
    const world = await BrokerWorld.started();
    const [absent, left] = (await exactly(world, ["absent", "left"], kept)) as [SimClient, SimClient];
    absent.disconnect();
    await world.run(2_000);
    left.acknowledges = false;
    await jobs(world, 4);
    left.unsubscribe(JOBS);
    await world.run(20);
    await world.crashAndRestart();
    const [back, again] = [await world.connected("absent", kept), await world.connected("left", kept)];
    await world.run(1_000);
    assert.deepEqual([payloads(back), payloads(again)], [[], upTo(4)]);
    assert.ok(again.publishes.every(({ qos, dup, retain }) => qos === 2 && dup && !retain));
  });

  test("after a crash: what was begun for a member that had not been told it was one goes to those who were", async () => {
    const world = await BrokerWorld.started();
    const [absent] = (await exactly(world, ["absent"], kept)) as [SimClient];
    absent.disconnect();
    const told = await world.connected("new", kept);
    await world.run(2_000);
    world.state.failure = new Error("disk I/O error");
    world.state.gate = new Promise(() => {});
    told.subscribe(JOBS, { qos: 2 });
    await jobs(world, 4);
    assert.deepEqual([told.last("suback"), told.publishes.length], [undefined, 0]);
    assert.ok([...world.journal.notes.values()].some(({ clientId, sent }) => clientId === "new" && sent.length > 0));
    world.state.failure = null;
    world.state.gate = Promise.resolve();
    await world.crashAndRestart();
    const [back, again] = [await world.connected("absent", kept), await world.connected("new", kept)];
    await world.run(1_000);
    assert.deepEqual([payloads(back), payloads(again)], [upTo(4), []]);
  });

  test("after a crash, with the notes of an earlier Tidewire, which name no group", async () => {
    const world = await BrokerWorld.started();
    const [absent] = (await exactly(world, ["absent"], kept)) as [SimClient];
    absent.disconnect();
    await world.run(2_000);
    const [there] = (await exactly(world, ["there"], kept)) as [SimClient];
    await jobs(world, 8);
    assert.deepEqual(payloads(there), upTo(8));
    for (const [offset, note] of world.journal.notes) {
      const sent = note.sent.map((value, i) => (i % SENT_STRIDE === 2 ? ORIGIN_UNKNOWN : value));
      world.journal.notes.set(offset, { ...note, sent });
    }
    await world.crashAndRestart();
    const [back, again] = [await world.connected("absent", kept), await world.connected("there", kept)];
    await world.run(1_000);
    assert.deepEqual([payloads(back), payloads(again)], [[], []]);
  });

  test("after a crash: what was queued for a member that was away goes to one, once", async () => {
    const world = await BrokerWorld.started();
    for (const client of await exactly(world, ["a", "b"], kept)) client.disconnect();
    await jobs(world, 8);
    await world.crashAndRestart();
    const back = [await world.connected("a", kept), await world.connected("b", kept)];
    await world.run(1_000);
    assert.deepEqual(ascending(back.flatMap(payloads)), upTo(8));
    assert.ok(back.every(({ publishes }) => publishes.every(({ qos, retain }) => qos === 2 && !retain)));
  });
});

describe("after a crash", () => {
  test("a replayed message goes to one member of the group", async () => {
    const world = await BrokerWorld.started();
    for (const client of await workers(world, 3, kept)) client.disconnect();
    await world.run(2_000);
    await work(world, 30);
    await world.crashAndRestart();
    const back = [];
    for (let i = 0; i < 3; i++) back.push(await world.connected(`w${i}`, kept));
    await world.run();
    assert.deepEqual(ascending(back.flatMap(payloads)), upTo(30));
    for (const client of back) assert.equal(client.publishes.length, 10);
  });

  test("who joined the group later is not owed what came before", async () => {
    const world = await BrokerWorld.started();
    for (const client of await workers(world, 1, kept)) client.disconnect();
    await work(world, 5);
    (await world.connected("late", kept)).subscribe(JOBS).disconnect();
    await world.run();
    await world.crashAndRestart();
    const [first, late] = [await world.connected("w0", kept), await world.connected("late", kept)];
    await world.run();
    assert.deepEqual([first.publishes.length, late.publishes.length], [5, 0]);
  });

  test("what was queued for a session that then ends still goes to another member", async () => {
    const world = await BrokerWorld.started();
    const [short] = (await workers(world, 1, { ...kept, sessionExpirySeconds: 60 })) as [SimClient];
    short.cut();
    await work(world, 5);
    await world.run(2_000);
    (await world.connected("long", kept)).subscribe(JOBS).cut();
    await world.run(2_000);
    await world.crashAndRestart();
    await world.run(70_000);
    assert.deepEqual([...world.state.sessions.keys()], ["long"]);
    await world.crashAndRestart();
    const long = await world.connected("long", kept);
    await world.run();
    assert.deepEqual(ascending(payloads(long)), upTo(5));
  });

  test("a stop hands over too: what a clean session had not acknowledged waits for a kept one", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("kept", kept)).subscribe(JOBS).disconnect();
    const [clean] = (await workers(world, 1)) as [SimClient];
    clean.acknowledges = false;
    await work(world, 4);
    assert.equal(clean.publishes.length, 4);
    const closed = world.broker.close();
    await world.run(100);
    await closed;
    await world.crashAndRestart();
    const back = await world.connected("kept", kept);
    await world.run();
    assert.deepEqual(ascending(payloads(back)), upTo(4));
  });
});
