import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BrokerWorld } from "../../sim/broker.ts";
import { SimRetained } from "../../sim/retained-store.ts";
import { SimRandom } from "../../sim/world.ts";
import { LIMITS, topicMatches } from "../base/mod.ts";
import { frameOf } from "./frame.ts";
import type { RetainedStore } from "./ports.ts";
import { retainedStoreContract } from "./retained-store.contract.ts";
import { RetainedMessages } from "./retained.ts";
import type { SavedRetained } from "./session.ts";
import { compareTopics } from "./topic-order.ts";

retainedStoreContract("simulated", () => {
  const store = new SimRetained();
  return { store, reopen: () => store, close: () => {} };
});

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`);

function changed(topic: string, offset: number, present = true): SavedRetained {
  const frame = frameOf({ topic, payload: new Uint8Array(1), qos: 0, retain: true, properties: null }).buffer;
  return { topic, frame: present ? frame : null, offset, clientId: "c", receivedAt: 0, expiresAt: null };
}

/** A store whose answers are as old as its caller likes. */
function delayed(store: RetainedStore): { readonly slow: RetainedStore; release: () => void } {
  const control = { slow: store, release: () => {} };
  control.slow = {
    save: (changes, room) => store.save(changes, room),
    page: async (filter, after, max) => {
      const page = await store.page(filter, after, max);
      await new Promise<void>((resolve) => (control.release = resolve));
      return page;
    },
    at: (offset) => store.at(offset),
    expire: (now, max) => store.expire(now, max),
    forgetFrom: (offset) => store.forgetFrom(offset),
  };
  return control;
}

describe("retained messages, between memory and store", () => {
  test("are what was last said, in order, whatever was saved when", async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new SimRandom(seed);
      const retained = new RetainedMessages(new SimRetained(), LIMITS.mqtt);
      await retained.start(0);
      const model = new Map<string, number>();
      const levels = ["a", "b", "a-1", "$x"];
      for (let offset = 0; offset < 40; offset++) {
        const topic = Array.from({ length: 1 + random.below(3) }, () => random.pick(levels)).join("/");
        const present = random.chance(0.7);
        retained.change(changed(topic, offset, present));
        if (present) model.set(topic, offset);
        else model.delete(topic);
        if (random.chance(0.2)) await retained.save(retained.unsaved().slice(0, 1 + random.below(5)));
      }
      for (const filter of ["#", "+/#", "a/+", "+/b/#", "a", "a/b", "$x/#", "a-1/+/a"]) {
        const found: (readonly [string, number])[] = [];
        for (let after: string | null = null; ;) {
          const page = await retained.page(filter, after, 1 + random.below(4));
          for (const { topic, offset } of page.found) found.push([topic, offset]);
          if (page.upTo === null) break;
          after = page.upTo;
        }
        const expected = [...model].filter(([topic]) => topicMatches(filter, topic));
        assert.deepEqual(
          found,
          expected.sort(([a], [b]) => compareTopics(a, b)),
          `${filter}, seed ${seed}`,
        );
      }
    }
  });

  test("a look-up that began before a saving does not bring back what was there before it", async () => {
    const store = new SimRetained();
    const control = delayed(store);
    const retained = new RetainedMessages(control.slow, LIMITS.mqtt);
    await store.save([changed("a", 0), changed("b", 1)], { messages: 10, bytes: 1e6 });
    await retained.start(2);
    const page = retained.page("+", null, 10);
    await Promise.resolve(); // the store has answered
    retained.change(changed("a", 2));
    retained.change(changed("b", 3, false));
    await retained.save(retained.unsaved());
    control.release();
    assert.deepEqual(
      (await page).found.map(({ topic, offset }) => [topic, offset]),
      [["a", 2]],
    );
    assert.equal(retained.unsaved().length, 0, "and nothing is kept for it afterwards");
  });
});

describe("retained messages and their memory", () => {
  test("who publishes more of them than the store takes is held back, and nothing is lost", async () => {
    const limits = { retainedUnsavedMessagesMax: 10, outputBytesMax: 1e6 };
    const world = await BrokerWorld.started({ limits });
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const save = world.state.retained.save.bind(world.state.retained);
    let largest = 0;
    world.state.retained.save = async (changes, room) => {
      largest = Math.max(largest, changes.length);
      await gate;
      return save(changes, room);
    };
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 200)) {
      publisher.publish(`r/${n}`, n, { retain: true, qos: 1, packetId: 1 + Number(n) });
      await world.run();
    }
    assert.equal(publisher.paused, true);
    const passing = await world.connected("passing");
    passing.publish("other", "x", { qos: 1 });
    await world.run();
    assert.equal(passing.last("puback")?.reasonCode, 0, "others are not");
    open();
    await world.run(100);
    assert.equal(publisher.paused, false);
    const late = (await world.connected("late")).subscribe("#");
    await world.run(100);
    assert.deepEqual(new Set(late.publishes.map((p) => p.payload)), new Set(numbers(0, 200)));
  });

  test("a store that fails ends the connection that needed it; it works again for the next", async () => {
    const world = await BrokerWorld.started();
    (await world.connected("pub")).publish("a", "x", { retain: true });
    await world.run(1_500);
    world.state.failure = new Error("disk I/O error");
    const client = (await world.connected("c1")).subscribe("a");
    await world.run();
    assert.equal(client.last("disconnect")?.reasonCode, 0x83);
    world.state.failure = null;
    const again = (await world.connected("c1")).subscribe("a");
    await world.run();
    assert.deepEqual(again.take(), ["a=x"]);
  });

  test("one that was sent and not acknowledged is sent again, though the log no longer has it", async () => {
    const world = await BrokerWorld.started();
    const kept = { cleanStart: false, sessionExpirySeconds: 600 } as const;
    (await world.connected("pub")).publish("a", "old", { retain: true, qos: 1 });
    await world.run(1_500);
    world.journal.messages[0] = null;
    const client = (await world.connected("c1", kept)).subscribe("a");
    client.acknowledges = false;
    await world.run();
    assert.deepEqual(client.take(), ["a=old"]);
    client.cut();
    const back = await world.connected("c1", kept);
    await world.run();
    assert.deepEqual(
      back.publishes.map((p) => [p.topic, p.payload, p.dup, p.retain]),
      [["a", "old", true, true]],
    );
  });

  test("what is published while they are looked up arrives once, and never the older one after the newer", async () => {
    const world = await BrokerWorld.started({ limits: { outputBytesMax: 2_000 } });
    const publisher = await world.connected("pub");
    for (const n of numbers(0, 300)) publisher.publish(`r/${n}`, "old", { retain: true });
    await world.run(1_500);
    const client = (await world.connected("c1", { receiveMaximum: 2 })).subscribe("r/#");
    client.stall();
    await world.run();
    for (const n of ["0", "150", "299"])
      publisher.publish(`r/${n}`, "new", { retain: true, qos: 1, packetId: 1 + Number(n) });
    publisher.publish("r/5", "", { retain: true, qos: 1, packetId: 999 });
    await world.run(1_500);
    client.unstall();
    await world.run(1_000);
    const of = (topic: string): string[] => client.publishes.filter((p) => p.topic === topic).map((p) => p.payload);
    for (const n of ["0", "150", "299"])
      assert.ok(["new", "old,new"].includes(of(`r/${n}`).join()), of(`r/${n}`).join());
    assert.equal(of("r/5").at(-1), "");
    assert.equal(new Set(client.publishes.map((p) => p.topic)).size, 300);
  });
});
