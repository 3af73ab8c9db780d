import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hours, minutes, seconds } from "../../base/mod.ts";
import { AlertWorld, planOf } from "./alerting.fixture.ts";

const CONTACTS = [
  { name: "ops", chat: true },
  { name: "lead", chat: true },
];
const OPS = { contacts: CONTACTS, route: { contacts: ["ops"] } };

function firing(alerts: object = OPS): AlertWorld {
  const w = new AlertWorld(planOf(alerts));
  w.read("cpu");
  w.pass(seconds(30));
  assert.deepEqual(w.told(), ["ops firing: cpu on pi-1"]);
  return w;
}

describe("other settings while alerts fire", () => {
  test("what is told is not told again, and its end is told to those who were", () => {
    const w = firing();
    w.alerting.replan(planOf({ ...OPS, link: "https://tide.example" }));
    w.pass(minutes(20));
    assert.equal(w.sent.length, 1);
    w.well("cpu");
    w.pass(minutes(6));
    assert.deepEqual(w.told().slice(1), ["ops resolved: cpu on pi-1"]);
    assert.match(JSON.stringify(w.sent[1]!.links), /https:\/\/tide\.example/);
  });

  test("nor where their route stands elsewhere in the tree now; its notifications are numbered on", () => {
    const child = { match: ["rule=cpu"], contacts: ["ops"] };
    const w = firing({ ...OPS, route: { contacts: ["lead"], routes: [child] } });
    const before = { match: ["severity=critical"], contacts: ["lead"] };
    w.alerting.replan(planOf({ ...OPS, route: { contacts: ["lead"], routes: [before, child] } }));
    w.pass(minutes(20));
    assert.equal(w.sent.length, 1);
    w.save();
    w.crash(planOf({ ...OPS, route: { contacts: ["lead"], routes: [before, child] } }));
    w.well("cpu");
    w.pass(minutes(6));
    assert.deepEqual(w.told().slice(1), ["ops resolved: cpu on pi-1"]);
    assert.equal(new Set(w.sent.map(({ id }) => id)).size, 2);
  });

  test("other people are told of what fires, after the route's wait; a place in the tree that is another's says nothing", () => {
    const w = firing();
    w.alerting.replan(planOf({ ...OPS, route: { contacts: ["lead"] } }));
    w.pass(seconds(31));
    assert.deepEqual(w.told().slice(1), ["lead firing: cpu on pi-1"]);
    assert.equal(new Set(w.sent.map(({ id }) => id)).size, 2, "no receiver may take it for the one before");
  });

  test("what waits for its group goes by the new route", () => {
    const w = new AlertWorld(planOf(OPS));
    w.read("cpu");
    w.pass(seconds(10));
    w.alerting.replan(planOf({ ...OPS, route: { contacts: ["lead"], groupWait: "10s" } }));
    w.pass(seconds(1));
    assert.deepEqual(w.told(), ["lead firing: cpu on pi-1"]);
  });

  test("silences, inhibition and maintenance of the new settings hold at once", () => {
    const w = new AlertWorld(planOf(OPS));
    w.read("host", { severity: "critical" });
    w.pass(seconds(31));
    const inhibit = [{ source: ["rule=host"], target: ["rule=disk"], equal: ["thing"] }];
    w.alerting.replan(planOf({ ...OPS, inhibit }));
    w.read("disk");
    w.pass(minutes(2));
    assert.deepEqual(w.told(), ["ops firing: host on pi-1"]);
    w.alerting.replan(planOf(OPS));
    w.pass(minutes(2));
    assert.deepEqual(w.told().slice(1), ["ops firing: disk on pi-1"]);
  });

  test("what a contact point was to get is not lost where it stays, and is where it goes", () => {
    const plan = (names: readonly string[]): object => ({
      contacts: names.map((name) => ({ name, chat: true, perMinute: 1 })),
      route: { contacts: [names[0]], groupBy: ["id"], groupWait: "0s" },
    });
    const w = new AlertWorld(planOf(plan(["ops", "lead"])));
    for (const thing of ["a", "b", "c"]) w.read("cpu", { thing });
    w.pass(seconds(2));
    assert.equal(w.sent.length, 1);
    w.alerting.replan(planOf(plan(["ops"])));
    w.pass(minutes(2));
    assert.deepEqual(
      w.sent.map(({ kind }) => kind),
      ["firing", "digest"],
    );
    for (const thing of ["d", "e", "f"]) w.read("cpu", { thing });
    w.alerting.replan(planOf(plan(["lead"])));
    w.save();
    assert.ok(w.logger.lines.some(({ message }) => message.includes("is gone is not sent")));
    assert.ok(!w.rows.some(({ kind, id }) => kind === "contact" && id === "ops"));
  });

  test("repetitions and escalations go on from where they were", () => {
    const escalate = [{ after: "10min", contacts: ["lead"] }];
    const w = firing({ ...OPS, route: { contacts: ["ops"], escalate } });
    w.pass(minutes(8));
    w.alerting.replan(planOf({ ...OPS, route: { contacts: ["ops"], escalate, repeatInterval: "1h" } }));
    w.pass(minutes(2));
    assert.deepEqual(w.told().slice(1), ["lead escalation: cpu on pi-1"]);
    w.passLong(hours(1));
    assert.ok(w.told().includes("ops repeat: cpu on pi-1"));
  });
});
