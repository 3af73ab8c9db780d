/** Windows within the runtime: real store, real receivers, simulated time, crashes. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { settle } from "../../../sim/world.ts";
import { Receiver, World } from "../rules.fixture.ts";

let world: World;
let receiver: Receiver;

async function start(sql: string, action: object = {}, options: Parameters<typeof World.start>[0] = {}): Promise<void> {
  receiver = await Receiver.start();
  world = await World.start(options);
  world.clock.advance(1_767_225_600_000 - world.clock.now());
  world.rules.put("r", { sql, actions: [{ webhook: { url: receiver.url, ...action } }] });
}

async function end(): Promise<void> {
  await world.close();
  await Receiver.downAll();
}

/** As `World.pass`, without waiting for requests that hang. */
async function goOn(seconds: number): Promise<void> {
  for (let i = 0; i < seconds * 4; i++) {
    world.clock.advance(250);
    await settle();
  }
}

const bodies = (): unknown[] => receiver.bodies.map((body) => JSON.parse(body) as unknown);
const ids = (): (string | string[] | undefined)[] => receiver.received.map(({ headers }) => headers["webhook-id"]);

const MINUTE =
  "SELECT topic(2) AS d, avg(x) AS a, count(*) AS n FROM 'a/+' GROUP BY topic(2), TUMBLE('1 min') LATENESS '2 s'";

describe("a rule with a window", () => {
  afterEach(end);

  test("its result goes to its actions once the time is there, without another message", async () => {
    await start(MINUTE);
    world.publish("a/p", { x: 1 });
    await world.pass(30_000);
    world.publish("a/p", { x: 2 });
    await world.pass(32_000);
    assert.deepEqual(bodies(), []);
    await world.pass(2_000, 500);
    assert.deepEqual(bodies(), [{ d: "p", a: 1.5, n: 2 }]);
    await world.pass(200_000, 10_000);
    assert.equal(receiver.received.length, 1);
  });

  test("a crash in mid-window changes nothing: what was not saved is read again from the log", async () => {
    await start(MINUTE);
    for (const x of [1, 2, 3]) {
      world.publish("a/p", { x });
      await world.pass(14_000, 1_000);
      await world.crash();
    }
    world.publish("a/p", { x: 10 });
    await world.crash();
    await world.pass(40_000, 1_000);
    assert.deepEqual(bodies(), [{ d: "p", a: 4, n: 4 }]);
  });

  test("what was told before a crash is not told again, though it is computed again", async () => {
    await start(MINUTE);
    world.publish("a/p", { x: 1 });
    await world.pass(65_000, 1_000);
    world.publish("a/p", { x: 5 });
    await world.pass(3_000, 1_000);
    assert.equal(receiver.received.length, 1);
    await world.crash();
    await world.pass(5_000, 1_000);
    assert.equal(receiver.received.length, 1);
    await world.pass(60_000, 1_000);
    assert.deepEqual(bodies(), [
      { d: "p", a: 1, n: 1 },
      { d: "p", a: 5, n: 1 },
    ]);
  });

  test("a result whose receiver hung when the process died comes again under the same id", async () => {
    await start(MINUTE);
    receiver.answers.push("hang");
    world.publish("a/p", { x: 1 });
    await goOn(64);
    await receiver.count(1);
    await world.crash();
    await goOn(5);
    await receiver.count(2);
    const [first, second] = ids();
    assert.equal(first, second);
    assert.deepEqual(bodies()[0], bodies()[1]);
  });

  test("an orderly restart keeps the state and reads nothing again", async () => {
    await start(MINUTE);
    world.publish("a/p", { x: 1 });
    world.publish("a/q", { x: 3 });
    await world.restart();
    assert.equal(world.resumeFrom, 2);
    world.publish("a/p", { x: 2 });
    await world.pass(70_000, 1_000);
    assert.deepEqual(bodies(), [
      { d: "p", a: 1.5, n: 2 },
      { d: "q", a: 3, n: 1 },
    ]);
  });

  test("another SELECT goes on with the state, another window begins anew, a disabled rule forgets", async () => {
    await start(MINUTE);
    const actions = [{ webhook: { url: receiver.url } }];
    world.publish("a/p", { x: 1 });
    world.rules.put("r", { sql: MINUTE.replace("avg(x) AS a", "avg(x) * 10 AS a"), actions });
    world.publish("a/p", { x: 2 });
    await world.crash();
    await world.pass(65_000, 1_000);
    assert.deepEqual(bodies(), [{ d: "p", a: 15, n: 2 }]);
    world.publish("a/p", { x: 1 });
    world.rules.put("r", { sql: MINUTE.replace("avg(x)", "max(x)"), actions });
    await world.crash();
    world.publish("a/p", { x: 7 });
    await world.pass(60_000, 1_000);
    assert.deepEqual(bodies()[1], { d: "p", a: 7, n: 1 });
    world.publish("a/p", { x: 100 });
    world.rules.disable("r");
    await world.crash();
    world.rules.enable("r");
    world.publish("a/p", { x: 3 });
    await world.pass(70_000, 1_000);
    assert.deepEqual(bodies()[2], { d: "p", a: 3, n: 1 });
  });

  test("rules without state are not given the messages that are read again", async () => {
    await start(MINUTE);
    const plain = await Receiver.start();
    world.rules.put("plain", { sql: "SELECT x FROM 'a/+'", actions: [{ webhook: { url: plain.url } }] });
    world.publish("a/p", { x: 1 });
    await world.pass(3_000, 1_000);
    await world.crash();
    assert.ok(world.resumeFrom < 1, "the window's state was not saved yet");
    await world.pass(3_000, 1_000);
    assert.equal(plain.received.length, 1);
    world.publish("a/p", { x: 2 });
    await world.pass(1_000);
    assert.deepEqual(plain.bodies, ['{"x":1}', '{"x":2}']);
  });

  test("the log is kept from where the oldest state needs it, and let go once it is saved", async () => {
    await start(MINUTE);
    for (let i = 0; i < 5; i++) world.publish("a/p", { x: i });
    assert.equal(world.rules.checkpoint(), 0);
    await world.pass(15_000, 1_000);
    assert.equal(world.rules.checkpoint(), 5);
  });

  test("a thing that is to be forgotten leaves no state", async () => {
    await start(MINUTE);
    world.publish("a/p", { x: 1 }, { thing: "p" });
    await world.pass(15_000, 5_000);
    assert.equal(world.metrics.value("tidewire_window_keys", {}), 1);
    world.rules.eraseThing("p");
    await world.crash();
    assert.equal(world.metrics.value("tidewire_window_keys", {}), 0);
  });
});

describe("a rule that cannot be", () => {
  afterEach(end);

  test("windows do not store: another rule stores what they republish", async () => {
    await start(MINUTE);
    assert.throws(() => world.rules.put("t", { sql: MINUTE, actions: [{ telemetry: {} }] }), /cannot store; republish/);
  });
});

describe("a rule that waits", () => {
  afterEach(end);

  test("FOR raises an alert when it has held for so long, and resolves it when it holds no more", async () => {
    world = await World.start();
    world.clock.advance(1_767_225_600_000 - world.clock.now());
    const alert = { severity: "warning", summary: "${x} on ${thing}", clearAfterSeconds: 0 };
    world.rules.put("hot", { sql: "SELECT x FROM 'a/+' WHERE x > 30 FOR '5 min'", actions: [{ alert }] });
    world.publish("a/p", { x: 40 });
    await world.pass(299_000, 1_000);
    assert.deepEqual(world.rules.alerts.active(), []);
    await world.pass(3_000, 500);
    assert.deepEqual(
      world.rules.alerts.active().map(({ thing, summary }) => [thing, summary]),
      [["pi-1", "40 on pi-1"]],
    );
    world.publish("a/p", { x: 20 });
    assert.deepEqual(world.rules.alerts.active(), []);
  });

  test("windows of which HAVING holds for so long: by the alert's forSeconds, as the error about HAVING … FOR says", async () => {
    world = await World.start();
    world.clock.advance(1_767_225_600_000 - world.clock.now());
    const sql = "SELECT avg(x) AS a FROM 'a/+' GROUP BY thing(), TUMBLE('10 s') HAVING avg(x) > 80";
    const alert = { severity: "warning", summary: "high", forSeconds: 25, clearAfterSeconds: 0 };
    assert.throws(() => world.rules.put("hot", { sql: `${sql} FOR '25 s'`, actions: [{ alert }] }), /with HAVING/);
    world.rules.put("hot", { sql, actions: [{ alert }] });
    const windows = async (x: number, count: number): Promise<number> => {
      for (let i = 0; i < count; i++) {
        world.publish("a/p", { x });
        await world.pass(10_000, 1_000);
      }
      return world.rules.alerts.active().length;
    };
    assert.deepEqual([await windows(90, 2), await windows(70, 2)], [0, 0], "it did not last");
    assert.deepEqual([await windows(90, 5), await windows(70, 2)], [1, 0]);
  });

  test("ABSENT FOR tells once that a device fell silent, also across a crash", async () => {
    await start("SELECT topic(2) AS d, x, timestamp() AS seen FROM 'a/+' ABSENT FOR '2 min'");
    const at = world.clock.now();
    world.publish("a/p", { x: 1 }, { thing: "p" });
    await world.pass(60_000, 1_000);
    await world.crash();
    world.publish("a/q", { x: 2 }, { thing: "q" });
    await world.pass(63_000, 1_000);
    assert.deepEqual(bodies(), [{ d: "p", x: 1, seen: at }]);
    await world.crash();
    await world.pass(30_000, 1_000);
    assert.equal(receiver.received.length, 1);
  });
});
