import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { afterEach, beforeEach, describe, test } from "node:test";
import { days, hours, minutes, seconds } from "../../base/mod.ts";
import { Receiver, World, stamped } from "../rules.fixture.ts";
import type { WorldOptions } from "../rules.fixture.ts";
import { deliveredIn, idsAt, startedIn, upTo, webhookRule } from "./deliveries.fixture.ts";

let receiver: Receiver;
let world: World;

async function begin(options: WorldOptions = {}): Promise<void> {
  world = await World.start(options);
}

describe("deliveries", () => {
  beforeEach(async () => {
    receiver = await Receiver.start();
  });

  afterEach(async () => {
    await world.close();
    await Receiver.downAll();
  });

  describe("the good case", () => {
    test("AWS's http action is the same request, with its headers", async () => {
      await begin();
      const headers = [{ key: "x-team", value: "blue" }];
      world.rules.put("hot", { sql: "SELECT * FROM 'a/#'", actions: [{ http: { url: receiver.url, headers } }] });
      world.publish("a/b", { n: 1 });
      await world.pass(0);
      assert.deepEqual(receiver.bodies, ['{"n":1}']);
      assert.equal(receiver.received[0]!.headers["x-team"], "blue");
    });

    test("metrics tell how long a message took to its rule, waited, and was on the way", async () => {
      await begin();
      world.rules.put("hot", webhookRule(receiver.url));
      world.publish("a/b", { n: 1 }, { receivedAt: world.clock.now() - 30 });
      await world.pass(0);
      const upTo = (name: string, le: string, labels: object = {}): number =>
        world.metrics.value(`tidewire_${name}_seconds_bucket`, { ...labels, le });
      assert.deepEqual([upTo("rule_delay", "0.02"), upTo("rule_delay", "0.05")], [0, 1]);
      for (const stage of ["queued", "answered"]) {
        assert.equal(upTo("delivery_stage", "0.001", { kind: "webhook", stage }), 1, stage); // time stands still here
        const labels = { kind: "webhook", stage };
        assert.equal(world.metrics.value("tidewire_delivery_stage_seconds_count", labels), 1, stage);
      }
    });

    test("a match is posted at once, as JSON, without a write to the disk", async () => {
      await begin();
      world.rules.put("hot", webhookRule(receiver.url, "SELECT t AS temp, topic(2) AS room FROM 'a/+' WHERE t > 20"));
      world.publish("a/kitchen", { t: 25 });
      world.publish("a/cellar", { t: 5 });
      world.publish("b/kitchen", { t: 25 });
      await world.pass(0);
      assert.deepEqual(receiver.bodies, ['{"temp":25,"room":"kitchen"}']);
      const { headers } = receiver.received[0]!;
      assert.equal(headers["content-type"], "application/json");
      assert.equal(headers["webhook-id"], "hot-0");
      assert.equal(headers["webhook-timestamp"], String(world.clock.now() / 1000));
      assert.equal(headers["webhook-signature"], undefined);
      await world.pass(seconds(5), seconds(1));
      assert.equal(receiver.received.length, 1);
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
      assert.equal(world.rules.checkpoint(), 3);
    });

    test("a secret signs id, time and body; other headers are added", async () => {
      await begin();
      const key = Buffer.alloc(32, 7);
      const secret = `whsec_${key.toString("base64")}`;
      world.rules.put("hot", webhookRule(receiver.url, undefined, { secret, headers: { "X-Team": "blue" } }));
      world.publish("a", { x: "é" });
      await world.pass(0);
      const { headers, body } = receiver.received[0]!;
      const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
      assert.equal(headers["webhook-signature"], `v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
      assert.equal(headers["x-team"], "blue");
    });

    test("a payload that is not JSON goes on as raw bytes", async () => {
      await begin();
      world.rules.put("raw", webhookRule(receiver.url));
      world.publish("a", new TextEncoder().encode("plain text"));
      await world.pass(0);
      assert.equal(receiver.bodies[0], "plain text");
      assert.equal(receiver.received[0]!.headers["content-type"], "application/octet-stream");
    });

    test("a stamped reading that is sent twice carries the same id twice", async () => {
      await begin();
      world.rules.put("hot", webhookRule(receiver.url));
      world.publish("a", { n: 1 }, { properties: stamped("box", 7) });
      world.publish("a", { n: 1 }, { properties: stamped("box", 7) });
      await world.pass(0);
      const ids = receiver.received.map((request) => request.headers["webhook-id"]);
      assert.deepEqual(ids, ["hot-pi-1-box-7", "hot-pi-1-box-7"]);
    });

    test("two actions of one rule to one receiver have different ids", async () => {
      await begin();
      const action = { webhook: { url: receiver.url } };
      world.rules.put("two", { sql: "SELECT * FROM 'a'", actions: [action, action] });
      world.publish("a", {});
      await world.pass(0);
      assert.deepEqual(idsAt(receiver), new Set(["two-0", "two.1-0"]));
    });

    test("connections are kept and bounded: 500 messages, at most 16 at once, all in order of their start", async () => {
      await begin();
      world.rules.put("hot", webhookRule(receiver.url));
      for (let n = 0; n < 500; n++) world.publish("a", { n });
      await world.pass(0);
      assert.equal(new Set(receiver.bodies).size, 500);
      assert.ok(world.http.mostInflight <= 16, `${world.http.mostInflight} at once`);
      assert.ok(receiver.connections <= 16, `${receiver.connections} connections`);
    });

    test("slack: text and block, done only at 'ok', the user's values escaped", async () => {
      await begin();
      receiver.answers.push({ status: 200, body: "invalid_payload" });
      receiver.standing = { status: 200, body: "ok" };
      world.rules.put("talk", {
        sql: "SELECT * FROM 'a'",
        actions: [{ slack: { url: receiver.url, text: "*${thing}* says ${s} & ${rule}" } }],
      });
      world.publish("a", { s: "<!channel> & co" });
      await world.pass(minutes(1), seconds(1));
      const expected = "*pi-1* says &lt;!channel&gt; &amp; co & talk";
      assert.equal(receiver.received.length, 2);
      assert.deepEqual(JSON.parse(receiver.bodies[1]!), {
        text: expected,
        blocks: [{ type: "section", text: { type: "mrkdwn", text: expected } }],
      });
      assert.equal(receiver.received[1]!.headers["webhook-id"], undefined);
      assert.equal(world.metrics.value("tidewire_delivery_attempts_total", { kind: "slack", outcome: "delivered" }), 1);
    });
  });

  describe("a receiver in trouble", () => {
    test("down for a while, then 500, then 200: it arrives once, with the same id, and nothing else waits for it", async () => {
      const other = await Receiver.start();
      await begin();
      world.rules.put("hot", webhookRule(receiver.url));
      world.rules.put("other", webhookRule(other.url));
      await receiver.down();
      world.publish("a", { n: 1 });
      await world.pass(seconds(20), seconds(1));
      assert.deepEqual(other.bodies, ['{"n":1}']);
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 1);
      receiver.answers.push(500, 500);
      await receiver.up();
      await world.pass(minutes(5), seconds(5));
      assert.equal(receiver.received.length, 3);
      assert.deepEqual(new Set(receiver.received.map((r) => r.headers["webhook-id"])), new Set(["hot-0"]));
      assert.equal(deliveredIn(world), 2);
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
      const times = receiver.received.map((r) => Number(r.headers["webhook-timestamp"]));
      assert.ok(times[0]! < times[1]! && times[1]! < times[2]!, "each attempt has its own time");
    });

    test("one that hangs holds only its own requests; the other gets 200 messages meanwhile", async () => {
      const other = await Receiver.start();
      await begin({ limits: { deliveriesInflightMax: 4, deliveriesPerTargetMax: 4 } });
      receiver.standing = "hang";
      world.rules.put("hung", webhookRule(receiver.url));
      world.rules.put("fine", webhookRule(other.url));
      for (let n = 0; n < 200; n++) world.publish("a", { n });
      world.clock.advance(0);
      await other.count(200);
      assert.equal(receiver.received.length, 4);
      await receiver.down();
      await world.pass(seconds(2), seconds(1));
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 200);
      receiver.standing = 200;
      await receiver.up();
      await world.pass(minutes(2), seconds(5));
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
      assert.equal(new Set(receiver.bodies).size, 200);
    });

    test("10,000 wait in the store, not in memory, and arrive in order when it is back", async () => {
      await begin();
      world.rules.put("hot", webhookRule(receiver.url));
      await receiver.down();
      for (let n = 0; n < 10_000; n++) {
        world.publish("a", { n });
        if (n % 100 === 0) await world.pass(0);
      }
      await world.pass(seconds(1));
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 10_000);
      assert.equal(world.rules.checkpoint(), 10_000);
      await world.restart();
      assert.equal(world.resumeFrom, 10_000, "nothing is to be replayed");
      await receiver.up();
      world.http.started.length = 0;
      await world.pass(minutes(15), minutes(1));
      assert.equal(deliveredIn(world), 10_000);
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
      assert.equal(new Set(receiver.bodies).size, 10_000);
      assert.deepEqual(startedIn(world), upTo(10_000));
    });

    test("a delivery that only it refuses does not hold up those behind it", async () => {
      await begin();
      receiver.answer = ({ body }) => (body.includes("poison") ? 500 : 200);
      world.rules.put("hot", webhookRule(receiver.url));
      for (let n = 0; n < 5; n++) world.publish("a", { poison: n });
      for (let n = 0; n < 50; n++) world.publish("a", { n });
      await world.pass(minutes(2), seconds(1));
      assert.equal(deliveredIn(world), 50);
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 5);
    });

    test("Retry-After is honoured, for all its deliveries", async () => {
      await begin();
      receiver.answers.push({ status: 429, headers: { "retry-after": "120" } });
      world.rules.put("hot", webhookRule(receiver.url));
      world.publish("a", { n: 1 });
      await world.pass(0);
      world.publish("a", { n: 2 });
      await world.pass(seconds(115), seconds(5));
      assert.equal(receiver.received.length, 1);
      await world.pass(seconds(10), seconds(5));
      assert.deepEqual(receiver.bodies, ['{"n":1}', '{"n":1}', '{"n":2}']);
    });

    test("backoff grows from about a second to ten minutes", async () => {
      await begin();
      receiver.standing = 503;
      world.rules.put("hot", webhookRule(receiver.url));
      world.publish("a", {});
      await world.pass(minutes(1), seconds(1));
      await world.pass(hours(3), seconds(10));
      const times = receiver.received.map((r) => Number(r.headers["webhook-timestamp"]));
      const gaps = times.slice(1).map((time, i) => time - times[i]!);
      assert.ok(gaps[0]! <= 3, `the first gap is ${gaps[0]} s`);
      assert.ok(Math.max(...gaps) <= 1201 && Math.max(...gaps) >= 300, `the longest gap is ${Math.max(...gaps)} s`);
      assert.ok(times.length < 40, `${times.length} attempts in three hours`);
    });

    test("a clock that is set back by an hour, or forward, delays no delivery that waits", async () => {
      for (const jump of [-3_600_000, 3_600_000]) {
        await begin();
        receiver.standing = 503;
        world.rules.put("hot", webhookRule(receiver.url));
        world.publish("a", { n: 1 });
        await world.pass(seconds(5), seconds(1));
        world.clock.jump(jump);
        receiver.standing = 200;
        await world.pass(minutes(2), seconds(1));
        assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0, `after a jump by ${jump} ms`);
        await world.close();
      }
      await begin();
    });

    test("a clock that is set back while the platform restarts delays none either", async () => {
      await begin();
      receiver.standing = 503;
      world.rules.put("hot", webhookRule(receiver.url));
      world.publish("a", { n: 1 });
      await world.pass(seconds(5), seconds(1));
      world.clock.jump(3_600_000);
      world.publish("a", { n: 2 }); // an hour younger than the first, and the clock goes back behind both
      await world.pass(seconds(5), seconds(1));
      world.clock.jump(-3_600_000);
      receiver.standing = 200;
      await world.restart();
      await world.pass(minutes(2), seconds(1));
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
    });

    test("given up after 24 hours: a dead letter, that can be sent again by hand", async () => {
      await begin();
      receiver.standing = 503;
      world.rules.put("hot", webhookRule(receiver.url));
      world.publish("a", { n: 1 });
      world.publish("a", { n: 2 });
      await world.pass(hours(25), minutes(5));
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
      assert.equal(world.metrics.value("tidewire_deliveries_dead_total"), 2);
      const letters = world.rules.dead.list({ limit: 10 });
      assert.deepEqual(letters.map((letter) => letter.id).sort(), ["hot-0", "hot-1"]);
      assert.match(letters[0]!.lastError, /gave up/);
      receiver.standing = 200;
      const before = receiver.received.length;
      world.rules.dead.replay({ number: letters.find((letter) => letter.id === "hot-1")!.number, limit: 1 });
      await world.pass(minutes(20), minutes(1));
      assert.deepEqual(receiver.bodies.slice(before), ['{"n":2}']);
      assert.deepEqual(
        world.rules.dead.list({ limit: 10 }).map((letter) => letter.id),
        ["hot-0"],
      );
      assert.throws(() => world.rules.dead.get(999), /no dead letter/);
    });
  });

  describe("answers", () => {
    for (const status of [400, 401, 403, 404, 410, 422]) {
      test(`${status} is final: a dead letter at once`, async () => {
        await begin();
        receiver.standing = status;
        world.rules.put("hot", webhookRule(receiver.url));
        world.publish("a", {});
        await world.pass(minutes(30), minutes(1));
        assert.equal(receiver.received.length, 1);
        assert.equal(world.rules.dead.list({ limit: 10 })[0]?.lastError, `HTTP ${status}`);
        assert.equal(world.rules.checkpoint(), 1);
      });
    }

    for (const status of [408, 429, 500, 502, 503, 504]) {
      test(`${status} is tried again`, async () => {
        await begin();
        receiver.answers.push(status);
        world.rules.put("hot", webhookRule(receiver.url));
        world.publish("a", {});
        await world.pass(minutes(1), seconds(1));
        assert.equal(receiver.received.length, 2);
        assert.equal(deliveredIn(world), 1);
      });
    }

    test("a redirect is a failure and is not followed", async () => {
      const elsewhere = await Receiver.start();
      await begin();
      receiver.answers.push({ status: 302, headers: { location: elsewhere.url } });
      world.rules.put("hot", webhookRule(receiver.url));
      world.publish("a", {});
      await world.pass(minutes(1), seconds(1));
      assert.equal(elsewhere.received.length, 0);
      assert.equal(receiver.received.length, 2);
    });

    test("an address that is not allowed is a dead letter at once", async () => {
      await begin();
      world.rules.put("hot", webhookRule("http://169.254.169.254/latest/meta-data"));
      world.publish("a", {});
      await world.pass(minutes(1), seconds(1));
      assert.match(world.rules.dead.list({ limit: 1 })[0]!.lastError, /not allowed/);
    });
  });

  describe("limits", () => {
    test("when the store's bound is reached, the newest are dropped and counted", async () => {
      await begin({ limits: { deliveriesWaitingMax: 100 } });
      world.rules.put("hot", webhookRule(receiver.url));
      await receiver.down();
      world.publish("a", { n: -1 });
      await world.pass(0);
      for (let n = 0; n < 150; n++) world.publish("a", { n });
      await world.pass(seconds(1));
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 100);
      assert.equal(world.metrics.value("tidewire_deliveries_dropped_total", { reason: "store-full" }), 51);
      assert.equal(world.rules.checkpoint(), 151);
    });

    test("a result that is too large is dropped and counted, and told once", async () => {
      await begin();
      world.rules.put("hot", webhookRule(receiver.url));
      for (let n = 0; n < 3; n++) world.publish("a", { s: "x".repeat(70_000) });
      await world.pass(seconds(1));
      assert.equal(receiver.received.length, 0);
      assert.equal(world.metrics.value("tidewire_deliveries_dropped_total", { reason: "too-large" }), 3);
      assert.equal(world.logger.lines.filter((line) => line.message.includes("dropped")).length, 1);
    });

    test("a burst beyond the memory's bound goes to the store and still arrives in order", async () => {
      await begin({ limits: { deliveriesQueuedMax: 20 } });
      world.rules.put("hot", webhookRule(receiver.url));
      for (let n = 0; n < 300; n++) world.publish("a", { n });
      await world.pass(seconds(10), seconds(1));
      assert.equal(new Set(receiver.bodies).size, 300);
      assert.deepEqual(startedIn(world), upTo(300));
    });

    test("deleting a rule drops what waits for it", async () => {
      await begin();
      world.rules.put("hot", webhookRule(receiver.url));
      await receiver.down();
      for (let n = 0; n < 10; n++) world.publish("a", { n });
      await world.pass(seconds(2), seconds(1));
      world.rules.delete("hot");
      await receiver.up();
      await world.pass(minutes(20), minutes(1));
      assert.equal(receiver.received.length, 0);
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
    });

    test("no address of a receiver and no payload is ever logged", async () => {
      await begin();
      receiver.answers.push(500, 404);
      world.rules.put("hot", webhookRule(receiver.url.replace("/hook", "/services/SECRET")));
      world.publish("a", { p: "PAYLOAD" });
      await world.pass(days(1), hours(1));
      assert.ok(world.logger.lines.length > 0);
      assert.doesNotMatch(JSON.stringify(world.logger.lines), /SECRET|PAYLOAD/);
    });
  });
});
