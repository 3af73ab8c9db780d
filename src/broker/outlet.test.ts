import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { BrokerWorld } from "../../sim/broker.ts";
import { TidewireError } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import type { OutletTemplate } from "./mod.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A difference between long payloads would be printed byte by byte. */
function short(value: object): unknown {
  const brief = (_key: string, part: unknown): unknown =>
    part instanceof Uint8Array ? `${part.length} bytes, ${part[0]} to ${part.at(-1)}` : part;
  return JSON.parse(JSON.stringify(value, brief));
}

const template: OutletTemplate = {
  topic: "out/1",
  qos: 0,
  retain: false,
  clientId: "pump",
  thing: "pump",
  properties: { userProperties: [["hops", "1"]] },
};

describe("an outlet", () => {
  test("publishes what publishLocal would: to subscribers of both versions, to services, and in the journal", async () => {
    const properties = fc.constantFrom<Message["properties"]>(
      null,
      { userProperties: [["hops", "1"]] },
      { contentType: "text/plain; charset=utf-8, and more than 64 characters of it, which is long", payloadFormat: 1 },
    );
    const templates = fc.record({
      topic: fc.constantFrom("out/1", "out/ü", `out/${"long".repeat(40)}`),
      qos: fc.constantFrom(0 as const, 1 as const),
      retain: fc.boolean(),
      clientId: fc.constantFrom("pump", "five", ""),
      thing: fc.constantFrom("pump", null),
      properties,
    });
    const payloads = fc.array(fc.constantFrom(0, 1, 90, 200, 70_000), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(templates, payloads, async (given, lengths) => {
        const results = [];
        for (const way of ["outlet", "publishLocal"] as const) {
          const world = await BrokerWorld.started();
          const clients = [await world.connected("five"), await world.connected("four", { version: 4 })];
          for (const client of clients) client.subscribe("out/#", { qos: 1 });
          const local: Message[] = [];
          world.broker.subscribeLocal("out/#", (message) => void local.push(message));
          await world.run();
          const outlet = world.broker.outlet(given);
          const offsets = lengths.map((length, i) => {
            const payload = new Uint8Array(length).fill(65 + i);
            if (way === "publishLocal") return world.broker.publishLocal({ ...given, payload, receivedAt: 5 + i });
            return outlet.publish(payload, 5 + i);
          });
          await world.run();
          const journal = await Promise.all(offsets.map((offset) => world.journal.read(offset)));
          const received = clients.map((client) => client.received.filter((packet) => packet.type === "publish"));
          results.push(short({ offsets, journal, received, local }));
        }
        assert.deepEqual(results[0], results[1]);
      }),
      { numRuns: 15 },
    );
  });

  test("what its subscribers publish meanwhile leaves its packet alone", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub")).subscribe("#");
    const outlet = world.broker.outlet(template);
    const other = world.broker.outlet({ ...template, topic: "answer" });
    world.broker.subscribeLocal("out/1", ({ payload }) => void other.publish(bytes("again"), payload.length));
    await world.run();
    outlet.publish(bytes("first"), 1);
    outlet.publish(bytes("second"), 2);
    await world.run();
    assert.deepEqual(subscriber.take(), ["out/1=first", "answer=again", "out/1=second", "answer=again"]);
  });

  test("throws what the journal throws, and goes on when it takes messages again", async () => {
    const world = await BrokerWorld.started();
    const subscriber = (await world.connected("sub")).subscribe("#");
    const outlet = world.broker.outlet(template);
    await world.run();
    const append = world.journal.append.bind(world.journal);
    world.journal.append = () => {
      throw new TidewireError("LOG_FULL", { free: 0 });
    };
    assert.throws(() => outlet.publish(bytes("lost"), 1), { code: "LOG_FULL" });
    world.journal.append = append;
    outlet.publish(bytes("taken"), 2);
    await world.run();
    assert.deepEqual(subscriber.take(), ["out/1=taken"]);
  });

  test("is examined as all else is", async () => {
    const world = await BrokerWorld.started();
    world.broker.examine("out/#", () => ({ outcome: "reject", schema: "s", reason: "it is too warm" }));
    const outlet = world.broker.outlet(template);
    assert.throws(() => outlet.publish(bytes("1"), 1), { code: "PAYLOAD_UNFIT" });
  });
});
