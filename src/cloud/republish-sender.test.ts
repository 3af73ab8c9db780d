import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { LIMITS, TidewireError, minutes, seconds } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import { World } from "../rules/rules.fixture.ts";
import { RepublishSender } from "./republish-sender.ts";

let world: World;

describe("republish", () => {
  afterEach(() => world.close());

  /** A broker whose log is the world's: what is republished comes back to the rules. */
  const published: Message[] = [];
  let full = false;
  let durable = Infinity;
  let tellDurable: ((next: number) => void) | null = null;

  async function begin(): Promise<void> {
    published.length = 0;
    [full, durable] = [false, Infinity];
    world = await World.start({
      republish: (of) =>
        new RepublishSender({
          clock: of.clock,
          scheduler: of.clock,
          metrics: of.metrics,
          limits: LIMITS.mqtt,
          broker: () => ({
            outlet: (template) => ({
              publish: (payload, receivedAt) => {
                if (full) throw new TidewireError("LOG_FULL", { free: 0 });
                const message = { ...template, payload, receivedAt };
                published.push(message);
                return of.publish(message.topic, payload, message);
              },
            }),
          }),
          log: () => ({
            durable,
            onDurable: (listener) => {
              tellDurable = listener;
              return () => {};
            },
          }),
        }),
    });
  }

  const rule = (name: string, sql: string, republish: object): void =>
    void world.rules.put(name, { sql, actions: [{ republish }] });
  const text = ({ payload }: Message): string => new TextDecoder().decode(payload);

  test("topic, QoS, retain and MQTT 5 properties by template, as AWS IoT has them", async () => {
    await begin();
    rule("r", "SELECT n * 2 AS n FROM 'in/+'", {
      topic: "out/${topic(2)}",
      qos: "${q}",
      roleArn: "arn:aws:iam::1:role/r",
      headers: {
        contentType: "application/json",
        payloadFormatIndicator: "UTF8_DATA",
        responseTopic: "${missing}",
        correlationData: "c-${n}",
        messageExpiry: "60",
        retain: "true",
        userProperties: [{ key: "who", value: "${thing}" }],
      },
    });
    world.publish("in/x", { n: 4, q: 1 });
    await world.pass(0);
    const [message] = published;
    assert.deepEqual([message!.topic, message!.qos, message!.retain, text(message!)], ["out/x", 1, true, '{"n":8}']);
    assert.deepEqual(message!.properties, {
      userProperties: [
        ["who", "pi-1"],
        ["tw-hops", "1"],
      ],
      payloadFormat: 1,
      contentType: "application/json",
      correlationData: Buffer.from("c-4"),
      messageExpirySeconds: 60,
    });
    assert.equal(message!.thing, "pi-1");
  });

  test("a rule that feeds itself ends, is counted, and is a dead letter", async () => {
    await begin();
    rule("loop", "SELECT * FROM 'a/#'", { topic: "a/${topic()}" });
    world.publish("a", { n: 1 });
    for (let i = 0; i < 30; i++) await world.pass(seconds(1));
    assert.equal(published.length, LIMITS.rules.republishHopsMax);
    assert.equal(world.metrics.value("tidewire_republish_hops_exceeded_total"), 1);
    assert.match(world.rules.dead.list({ limit: 1 })[0]!.lastError, /feeds itself/);
  });

  test("AWS's $$aws: requests to shadows, and to other rules; nothing else that begins with $", async () => {
    await begin();
    rule("r", "SELECT n FROM 'in'", { topic: "$$aws/things/${t}/shadow/update" });
    rule("s", "SELECT n FROM 'in'", { topic: "$$aws/things/${t}/shadow/name/net/get" });
    rule("t", "SELECT n FROM 'in'", { topic: "$$aws/rules/other/x" });
    rule("other", "SELECT n, topic() AS at FROM 'nowhere'", { topic: "seen" });
    for (const [i, closed] of [
      "$aws/things/a/shadow/update/accepted",
      "$aws/events/presence/connected/a",
      "$aws/things/a/jobs/start-next",
      "$aws/certificates/create/json",
      "$tidewire/things/a/shadow/update",
      "$SYS/x",
    ].entries())
      rule(`closed${i}`, "SELECT * FROM 'in'", { topic: closed.replace("$", "$$$$") });
    world.publish("in", { n: 1, t: "lamp-1" });
    await world.pass(seconds(2), seconds(1));
    const seen = new Map(published.map((message) => [message.topic, message]));
    assert.deepEqual(
      [...seen.keys()].sort((a, b) => a.localeCompare(b)),
      ["$aws/rules/other/x", "$aws/things/lamp-1/shadow/name/net/get", "$aws/things/lamp-1/shadow/update", "seen"],
    );
    assert.equal(text(seen.get("seen")!), '{"n":1,"at":"x"}');
    assert.equal(seen.get("$aws/things/lamp-1/shadow/update")!.clientId, "", "not one of the thing's own requests");
    const dead = world.rules.dead.list({ limit: 9 });
    assert.equal(dead.length, 6);
    for (const { lastError } of dead) assert.match(lastError, /a rule may republish to \$\$aws\/things/);
  });

  test("a topic that is none, or the platform's own, is final; a full log is tried again", async () => {
    await begin();
    rule("r", "SELECT * FROM 'in'", { topic: "${to}" });
    for (const to of ["a/+", "", "$aws/things/x/shadow/update/delta"]) world.publish("in", { to });
    await world.pass(seconds(2), seconds(1));
    assert.equal(world.rules.dead.list({ limit: 9 }).length, 3);
    full = true;
    world.publish("in", { to: "x" });
    await world.pass(seconds(3), seconds(1));
    assert.deepEqual([published.length, world.metrics.value("tidewire_deliveries_waiting")], [0, 1]);
    full = false;
    await world.pass(minutes(1), seconds(1));
    assert.deepEqual(
      published.map(({ topic }) => topic),
      ["x"],
    );
  });

  test("it is delivered when it is on disk, not before", async () => {
    await begin();
    durable = 0;
    rule("r", "SELECT * FROM 'in'", { topic: "out" });
    world.publish("in", {});
    await world.pass(0);
    assert.equal(published.length, 1);
    assert.equal(
      world.metrics.valueOr(0, "tidewire_delivery_attempts_total", { kind: "republish", outcome: "delivered" }),
      0,
    );
    assert.equal(world.rules.checkpoint(), 0);
    tellDurable!(2);
    await world.metricReaches("tidewire_delivery_attempts_total", { kind: "republish", outcome: "delivered" }, 1);
    assert.equal(world.rules.checkpoint(), 2);
  });
});
