import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { BrokerWorld } from "../../sim/broker.ts";
import { topicMatches } from "../base/mod.ts";
import type { PacketWriter } from "../wire/mqtt/mod.ts";
import { FrameView } from "./frame.ts";
import type { RouteLimits } from "./routes.ts";
import type { LocalSubscription } from "./session.ts";
import { SubscriptionTree } from "./subscription-tree.ts";
import { Subscriptions } from "./subscriptions.ts";

const LIMITS: RouteLimits = {
  routesCachedMax: 64,
  routeTargetsMax: 1000,
  topicBytesMax: 65_535,
  topicLevelsMax: 65_535,
};
const encoder = new TextEncoder();
const plain = { qos: 0, retain: false, dup: false, packetId: 0, properties: null } as const;

function viewOf(topic: string): FrameView {
  const view = new FrameView();
  view.lookAt(encoder.encode(topic));
  view.topicEnd = view.buffer.length;
  return view;
}

const local = (filter: string): LocalSubscription => ({ kind: "local", filter, handler: () => {} });

const level = fc.constantFrom("a", "b", "", "$x", "ü");
const topic = fc
  .array(level, { minLength: 1, maxLength: 6 })
  .map((levels) => levels.join("/"))
  .filter((name) => name !== "");
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { maxLength: 6 }), fc.boolean())
  .map(([levels, rest]) => [...levels, ...(rest || levels.length === 0 ? ["#"] : [])].join("/"))
  .filter((name) => name !== "");
type Step = { readonly add: string } | { readonly remove: number } | { readonly publish: string };
const step: fc.Arbitrary<Step> = fc.oneof(
  filter.map((add) => ({ add })),
  fc.nat(30).map((remove) => ({ remove })),
  topic.map((publish) => ({ publish })),
);

describe("cached routes", () => {
  test("are what the filters say at every moment, however subscriptions come and go between", () => {
    const property = fc.property(fc.array(step, { maxLength: 80 }), fc.integer(), (steps, seed) => {
      const all = new Subscriptions(LIMITS, seed);
      const there: LocalSubscription[] = [];
      for (const one of steps) {
        if ("add" in one) {
          there.push(local(one.add));
          all.add(one.add, there.at(-1)!);
        } else if ("remove" in one) {
          const [gone] = there.splice(one.remove, 1);
          if (gone !== undefined) all.remove(gone.filter, gone);
        } else {
          const expected = there.filter((each) => topicMatches(each.filter, one.publish));
          assert.deepEqual(new Set(all.routes.of(viewOf(one.publish)).locals), new Set(expected), one.publish);
        }
      }
    });
    fc.assert(property, { seed: 1, numRuns: 500 });
  });

  test("stay as they are while others subscribe elsewhere, and follow at once where it concerns them", () => {
    const all = new Subscriptions(LIMITS, 7);
    const mine = local("fleet/1/device/7/cmd/#");
    all.add(mine.filter, mine);
    const route = all.routes.of(viewOf("fleet/1/device/7/cmd/go"));
    const before = route.locals;
    for (const elsewhere of ["fleet/1/device/8/cmd/#", "fleet/1/device/8/cmd/go", "fleet/1/other/+", "x/#"]) {
      const other = local(elsewhere);
      all.add(elsewhere, other);
      assert.equal(all.routes.of(viewOf("fleet/1/device/7/cmd/go")).locals, before, elsewhere);
      all.remove(elsewhere, other);
      assert.equal(all.routes.of(viewOf("fleet/1/device/7/cmd/go")).locals, before, elsewhere);
    }
    for (const concerned of ["fleet/1/device/7/cmd/go", "fleet/1/device/7/+/go", "fleet/+/device/7/#", "+/1/#", "#"]) {
      const other = local(concerned);
      all.add(concerned, other);
      assert.deepEqual(new Set(all.routes.of(viewOf("fleet/1/device/7/cmd/go")).locals), new Set([mine, other]));
      all.remove(concerned, other);
      assert.deepEqual(all.routes.of(viewOf("fleet/1/device/7/cmd/go")).locals, [mine]);
    }
  });
});

describe("a hostile set of filters", () => {
  test("of all combinations of + and a name: a match visits less than 2^(levels + 1) nodes, each once", () => {
    const tree = new SubscriptionTree<number>();
    const levels = 10;
    for (let bits = 0; bits < 2 ** levels; bits++) {
      const name = Array.from({ length: levels }, (_, i) => ((bits >> i) & 1 ? "+" : "a")).join("/");
      tree.add(name, bits);
    }
    const found: number[] = [];
    const visited = tree.match(Array.from({ length: levels }, () => "a").join("/"), found);
    assert.equal(found.length, 2 ** levels);
    assert.ok(visited < 2 ** (levels + 1), `${visited}`);
    // One that shares nothing with them leads nowhere but along the +.
    assert.equal(tree.match(Array.from({ length: levels }, () => "b").join("/"), []), levels + 1);
    assert.ok(tree.match("b", []) <= 2, "a shallow topic does not pay for deep filters");
  });

  test("costs who publishes to what they make expensive its turn, and nobody else", async () => {
    const world = await BrokerWorld.started({ limits: { turnWorkMax: 64 } });
    const reached = (): number => world.metrics.value("tidewire_mqtt_limit_reached_total", { limit: "turnWorkMax" });
    const hostile = await world.connected("hostile");
    for (let bits = 0; bits < 1024; bits++) {
      hostile.subscribe(Array.from({ length: 10 }, (_, i) => ((bits >> i) & 1 ? "+" : "a")).join("/"));
    }
    await world.run(1_000);
    const twice = (topic: string) => (w: PacketWriter) => {
      for (const payload of [1, 2]) w.publish({ topic, payload: Uint8Array.of(48 + payload), ...plain });
    };
    const [cheap, expensive] = [await world.connected("cheap"), await world.connected("expensive")];
    const before = reached();
    cheap.send(twice("b/c"));
    assert.equal(reached(), before);
    hostile.received.length = 0;
    expensive.send(twice("a/a/a/a/a/a/a/a/a/a"));
    assert.equal(reached(), before + 1, "its second packet waits for the next turn");
    await world.run();
    assert.deepEqual(
      hostile.publishes.map(({ payload }) => payload),
      ["1", "2"],
    );
  });

  test("of tens of thousands of levels overflows no stack, and leaves nothing behind", () => {
    const tree = new SubscriptionTree<number>();
    const deep = `+${"/x".repeat(32_000)}`;
    tree.add(deep, 1);
    tree.add(`${deep}/#`, 2);
    const found: number[] = [];
    tree.match(`a${"/x".repeat(32_000)}`, found);
    assert.deepEqual(new Set(found), new Set([1, 2]));
    tree.remove(`${deep}/#`, 2);
    tree.remove(deep, 1);
    assert.equal(tree.match(`a${"/x".repeat(32_000)}`, []), 1, "only the root is left");
  });
});

describe("subscribing and unsubscribing while messages are under way", () => {
  test("take effect in the order of arrival: what was accepted before is not for it, what comes after is", async () => {
    for (const filters of [["a/b"], ["a/+"], ["$share/g/a/b"]]) {
      const world = await BrokerWorld.started();
      const [publisher, client] = [await world.connected("pub"), await world.connected("c")];
      const publish = (n: number): void => void publisher.publish("a/b", `${n}`, { qos: 1, packetId: n });
      publish(1); // all in one turn of the event loop
      for (const f of filters) client.subscribe(f);
      publish(2);
      for (const f of filters) client.unsubscribe(f);
      publish(3);
      for (const f of filters) client.subscribe(f);
      publish(4);
      await world.run();
      assert.deepEqual(client.take(), ["a/b=2", "a/b=4"], filters[0]);
    }
  });

  test("a subscription that ends in the middle of a delivery harms no other: messages in the same chunk go on", async () => {
    const world = await BrokerWorld.started();
    const clients = [];
    for (let i = 0; i < 6; i++) clients.push((await world.connected(`c${i}`)).subscribe("a/#"));
    const publisher = await world.connected("pub");
    publisher.publish("a/b", "1", { qos: 1 });
    clients[2]!.cut();
    clients[4]!.unsubscribe("a/#");
    publisher.publish("a/b", "2", { qos: 1, packetId: 2 });
    await world.run();
    assert.deepEqual(
      clients.map((client) => client.take().length),
      [2, 2, 0, 2, 1, 2],
    );
  });
});
