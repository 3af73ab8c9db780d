import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { hours, minutes, seconds } from "../../base/mod.ts";
import { Receiver, World } from "../rules.fixture.ts";

let world: World;
let receiver: Receiver;
let told: Receiver;

interface Told {
  ruleName: string;
  topic: string;
  clientId: string;
  base64OriginalPayload: string;
  failures: { failedAction: string; failedResource: string; errorMessage: string }[];
}

describe("final failure", () => {
  beforeEach(async () => {
    [receiver, told, world] = await Promise.all([Receiver.start(), Receiver.start(), World.start()]);
  });
  afterEach(async () => {
    await world.close();
    await Receiver.downAll();
  });

  const rule = (actions: readonly object[], more: object = {}): void =>
    void world.rules.put("hot", {
      sql: "SELECT n FROM 'a/#'",
      actions,
      errorAction: { webhook: { url: told.url } },
      ...more,
    });
  const documents = (): Told[] => told.bodies.map((body) => JSON.parse(body) as Told);

  test("the error action gets AWS's document, once per rule and message, with all that failed together", async () => {
    receiver.standing = 404;
    rule([{ webhook: { url: receiver.url } }, { http: { url: receiver.url } }]);
    world.publish("a/b", { n: 1, secret: "not selected" });
    await world.pass(seconds(5), seconds(1));
    assert.equal(receiver.received.length, 2);
    const { origin } = new URL(receiver.url);
    const [document, ...others] = documents();
    assert.deepEqual(others, []);
    assert.deepEqual(document, {
      ruleName: "hot",
      topic: "a/b",
      cloudwatchTraceId: "0",
      clientId: "pi-1",
      base64OriginalPayload: btoa('{"n":1,"secret":"not selected"}'),
      failures: [
        { failedAction: "WebhookAction", failedResource: origin, errorMessage: "HTTP 404" },
        { failedAction: "HttpAction", failedResource: origin, errorMessage: "HTTP 404" },
      ],
    });
    assert.equal(told.received[0]!.headers["content-type"], "application/json");
    assert.equal(told.received[0]!.headers["webhook-id"], "hot.error-0");
  });

  test("what fails later of the same message is a dead letter, and not told again; the next message is", async () => {
    const other = await Receiver.start();
    receiver.standing = 404;
    other.standing = 503;
    rule([{ webhook: { url: receiver.url } }, { webhook: { url: other.url } }]);
    world.publish("a", { n: 1 });
    await world.pass(hours(25), minutes(5));
    assert.equal(world.rules.dead.list({ limit: 9 }).length, 2);
    assert.equal(documents().length, 1);
    assert.equal(world.metrics.value("tidewire_rule_error_actions_total", { outcome: "told-before" }), 1);
    world.publish("a", { n: 2 });
    await world.pass(seconds(3), seconds(1));
    assert.deepEqual(
      documents().map(({ cloudwatchTraceId: id }: Told & { cloudwatchTraceId?: string }) => id),
      ["0", "1"],
    );
  });

  test("given up for its age, it is told too; without an error action nothing is", async () => {
    await receiver.down();
    rule([{ webhook: { url: receiver.url } }]);
    world.publish("a", { n: 1 });
    await world.pass(hours(25), minutes(5));
    assert.match(documents()[0]!.failures[0]!.errorMessage, /gave up/);
    rule([{ webhook: { url: receiver.url } }], { errorAction: undefined });
    world.publish("a", { n: 2 });
    await world.pass(hours(25), minutes(5));
    assert.equal(documents().length, 1);
    assert.equal(world.rules.dead.list({ limit: 9 }).length, 2);
  });

  test("an error action that fails is a dead letter, and has no error action of its own", async () => {
    receiver.standing = 404;
    told.standing = 410;
    rule([{ webhook: { url: receiver.url } }]);
    world.publish("a", { n: 1 });
    await world.pass(minutes(5), seconds(1));
    assert.equal(told.received.length, 1);
    assert.deepEqual(
      world.rules.dead
        .list({ limit: 9 })
        .map(({ id }) => id)
        .sort(),
      ["hot-0", "hot.error-0"],
    );
  });

  test("a crash between death and telling: told after it, once", async () => {
    receiver.standing = 404;
    rule([{ webhook: { url: receiver.url } }]);
    await told.down();
    world.publish("a", { n: 1 });
    await world.pass(seconds(2), seconds(1));
    await world.crash();
    await told.up();
    await world.pass(minutes(1), seconds(1));
    assert.equal(receiver.received.length, 1, "the dead one is not tried again");
    assert.equal(documents().length, 1);
  });

  test("a payload that is too large to tell is left out, and said to be", async () => {
    receiver.standing = 404;
    rule([{ webhook: { url: receiver.url } }]);
    world.publish("a", { n: 1, s: "x".repeat(60_000) });
    await world.pass(seconds(3), seconds(1));
    assert.equal(documents()[0]!.base64OriginalPayload, "");
    assert.equal((documents()[0] as Told & { payloadLeftOut: boolean }).payloadLeftOut, true);
  });

  test("dead letters: looked at, corrected, sent again, dropped; by rule and in pages", async () => {
    receiver.answer = ({ body }) => (body === '{"n":100}' ? 200 : 422);
    rule([{ webhook: { url: receiver.url } }], { errorAction: undefined });
    for (let n = 0; n < 5; n++) world.publish("a", { n });
    await world.pass(seconds(3), seconds(1));
    const { dead } = world.rules;
    const [newest] = dead.list({ limit: 1 });
    assert.deepEqual([newest!.rule, newest!.carrier, newest!.attempts], ["hot", "webhook", 1]);
    assert.deepEqual(dead.list({ limit: 2, before: newest!.number }).length, 2);
    dead.edit(newest!.number, { body: new TextEncoder().encode('{"n":100}') });
    assert.equal(dead.replay({ number: newest!.number, limit: 1 }), 1);
    await world.pass(seconds(2), seconds(1));
    assert.equal(receiver.bodies.at(-1), '{"n":100}');
    assert.equal(receiver.received.at(-1)!.headers["webhook-id"], newest!.id);
    assert.equal(dead.list({ limit: 9 }).length, 4);
    assert.equal(dead.replay({ rule: "hot", limit: 9 }), 4);
    await world.pass(seconds(2), seconds(1));
    assert.equal(dead.list({ limit: 9 }).length, 4, "refused once more");
    assert.equal(dead.drop({ rule: "nobody", limit: 9 }), 0);
    assert.equal(dead.drop({ rule: "hot", limit: 9 }), 4);
    assert.throws(() => dead.get(1), { code: "NOT_FOUND" });
    assert.throws(() => dead.edit(1, { body: new Uint8Array(100_000) }), { code: "RULE_INVALID" });
    assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
  });

  test("a corrected password is for what waits and what was given up, too", async () => {
    receiver.answer = ({ headers }) =>
      headers.authorization === "right" ? 200 : headers.authorization === "old" ? 401 : 503;
    const put = (authorization: string): void => rule([{ webhook: { url: receiver.url, headers: { authorization } } }]);
    put("old");
    world.publish("a", { n: 1 });
    await world.pass(seconds(2), seconds(1));
    put("wrong");
    world.publish("a", { n: 2 });
    await world.pass(seconds(2), seconds(1));
    put("right");
    await world.pass(minutes(2), seconds(5));
    assert.equal(receiver.bodies.at(-1), '{"n":2}');
    world.rules.dead.replay({ limit: 9 });
    await world.pass(seconds(2), seconds(1));
    assert.equal(receiver.received.at(-1)!.headers.authorization, "right");
    assert.equal(receiver.bodies.at(-1), '{"n":1}');
    assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
  });

  test("20 receivers, half of them failing in different ways, and the process killed: nothing is lost, the healthy wait for nobody", async () => {
    const fine = await Promise.all(Array.from({ length: 10 }, () => Receiver.start()));
    const bad = await Promise.all(Array.from({ length: 10 }, () => Receiver.start()));
    const troubles: Receiver["standing"][] = [
      500,
      503,
      { status: 429, headers: { "retry-after": "3600" } },
      { status: 302, headers: { location: "http://169.254.169.254/" } },
      408,
      { status: 502, body: "x".repeat(1_000_000) },
      { status: 429, headers: { "retry-after": "nonsense" } },
      504,
      500,
      503,
    ];
    for (const [i, one] of bad.entries()) one.standing = troubles[i]!;
    await Promise.all(bad.slice(8).map((one) => one.down()));
    for (const [i, one] of [...fine, ...bad].entries()) {
      world.rules.put(`r${i}`, { sql: "SELECT n FROM 'a'", actions: [{ webhook: { url: one.url } }] });
    }
    for (let n = 0; n < 60; n++) {
      world.publish("a", { n });
      await world.pass(seconds(1));
      for (const one of fine) assert.equal(new Set(one.bodies).size, n + 1, "at once, whatever the others do");
      if (n % 20 === 7) await world.crash();
    }
    for (const one of bad) one.standing = 200;
    await Promise.all(bad.slice(8).map((one) => one.up()));
    await world.pass(hours(3), minutes(1));
    for (const one of [...fine, ...bad]) assert.equal(new Set(one.bodies.filter(isOfNumber)).size, 60);
    assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
    assert.equal(world.rules.dead.list({ limit: 1 }).length, 0);
  });
});

function isOfNumber(body: string): boolean {
  return body.startsWith('{"n":');
}
