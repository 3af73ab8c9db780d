import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { LIMITS, minutes, seconds } from "../base/mod.ts";
import { Receiver, World } from "./rules.fixture.ts";

const FULL = "database or disk is full";
const { saveRetryMax } = LIMITS.rules;

/** Saves of the store since it was made full. */
interface FullStore {
  readonly saves: () => number;
  readonly heal: () => void;
}

describe("while the rules' store takes nothing", () => {
  let world: World;
  let receiver: Receiver;

  beforeEach(async () => {
    receiver = await Receiver.start();
    world = await World.start();
    const sql = "SELECT id, count(*) AS n FROM 'a' GROUP BY id, TUMBLE('1 day')";
    world.rules.put("windows", { sql, actions: [{ webhook: { url: receiver.url } }] });
    world.rules.put("hot", { sql: "SELECT * FROM 'b'", actions: [{ webhook: { url: receiver.url } }] });
  });
  afterEach(async () => {
    await world.close();
    await Receiver.downAll();
  });

  function fill(): FullStore {
    const [save, stage] = [world.store.save.bind(world.store), world.store.stage.bind(world.store)];
    let saves = 0;
    world.store.save = () => {
      saves++;
      throw new Error(FULL);
    };
    world.store.stage = () => {
      throw new Error(FULL);
    };
    const heal = (): void => void Object.assign(world.store, { save, stage });
    return { saves: () => saves, heal };
  }

  const told = (): string[] =>
    world.logger.lines.filter(({ message }) => /saved|state of a rule/.test(message)).map(({ level }) => level);

  /** Messages go on, so that there is something to save each second. */
  async function go(time: number): Promise<void> {
    for (let second = 0; second < time / seconds(1); second++) {
      world.publish("a", { id: second % 7 });
      await world.pass(seconds(1), seconds(1));
    }
  }

  test("it is asked ever less often, says so once, and once when it is back; nothing is lost", async () => {
    await go(seconds(5));
    const store = fill();
    await go(minutes(10));
    assert.ok(store.saves() >= 10 && store.saves() <= 25, `${store.saves()} times`);
    assert.deepEqual(told(), ["error"]);
    assert.equal(world.metrics.value("tidewire_rules_unsaved"), 1);
    assert.match(world.rules.problem ?? "", /cannot be saved: database or disk is full/);
    assert.ok(world.rules.checkpoint() <= 5, "the log is kept from there");

    store.heal();
    await go(saveRetryMax + seconds(1));
    assert.deepEqual(told(), ["error", "info"]);
    assert.equal(world.metrics.value("tidewire_rules_unsaved"), 0);
    assert.equal(world.rules.problem, null);
    await go(minutes(1));
    await world.crash();
    assert.ok(world.resumeFrom > 600, `goes on at ${world.resumeFrom}`);
  });

  test("what somebody does is tried at once, and ends the waiting", async () => {
    const store = fill();
    await go(minutes(5));
    store.heal();
    const before = world.metrics.value("tidewire_rules_save_failures_total");
    world.rules.replanAlerts(null);
    assert.equal(world.metrics.value("tidewire_rules_unsaved"), 0);
    assert.equal(world.metrics.value("tidewire_rules_save_failures_total"), before);
  });

  test("deliveries that wait are said once to be unreadable, and go when they can be read", async () => {
    await receiver.down();
    for (let n = 0; n < 20; n++) world.publish("b", { n });
    await world.pass(seconds(5), seconds(1));
    const due = world.store.due.bind(world.store);
    world.store.due = () => {
      throw new Error("disk I/O error");
    };
    await receiver.up();
    await world.pass(minutes(20), seconds(5));
    const lines = (): string[] =>
      world.logger.lines.filter(({ message }) => message.startsWith("Waiting deliveries")).map(({ level }) => level);
    assert.deepEqual(lines(), ["error"]);
    world.store.due = due;
    await world.pass(minutes(20), seconds(5));
    assert.deepEqual(lines(), ["error", "info"]);
    assert.equal(new Set(receiver.bodies).size, 20);
  });
});
