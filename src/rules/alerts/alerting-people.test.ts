/** Escalation, messages that are edited in place, and what people do with an alert. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { minutes, seconds } from "../../base/mod.ts";
import { world } from "./alerting.fixture.ts";

describe("escalation", () => {
  const CHAIN = {
    contacts: [
      { name: "ops", chat: true },
      { name: "lead", chat: true },
      { name: "boss", chat: true },
    ],
    route: {
      contacts: ["ops"],
      escalate: [
        { after: "15min", contacts: ["lead"] },
        { after: "30min", contacts: ["boss"] },
      ],
    },
  };

  test("nobody acknowledges: the next are told, and all hear that it is over", () => {
    const w = world(CHAIN);
    w.read("cpu");
    w.pass(minutes(32));
    assert.deepEqual(w.told(), [
      "ops firing: cpu on pi-1",
      "lead escalation: cpu on pi-1",
      "boss escalation: cpu on pi-1",
    ]);
    w.well("cpu");
    w.pass(minutes(6));
    assert.deepEqual(w.told().slice(3), [
      "ops resolved: cpu on pi-1",
      "lead resolved: cpu on pi-1",
      "boss resolved: cpu on pi-1",
    ]);
    assert.ok(
      w.alerting.get(w.alert().id).history.some(({ type, note }) => type === "escalated" && note === "boss (chat)"),
    );
  });

  test("somebody acknowledges: nobody else is woken", () => {
    const w = world(CHAIN);
    w.read("cpu");
    w.pass(minutes(10));
    w.alerting.acknowledge(w.alert().id, "ann");
    w.pass(minutes(60));
    assert.equal(w.sent.length, 1);
  });

  test("a crash before the time has come changes nothing", () => {
    const w = world(CHAIN);
    w.read("cpu");
    w.pass(minutes(10));
    w.crash();
    w.pass(minutes(6));
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1", "lead escalation: cpu on pi-1"]);
  });
});

describe("editing in place", () => {
  const EDITS = {
    contacts: [
      { name: "chat", edits: true },
      { name: "ops", chat: true },
    ],
    route: { contacts: ["chat", "ops"] },
  };

  test("what was sent shows who has seen it and that it is over; others get a new message only for the end", () => {
    const w = world(EDITS);
    w.read("cpu");
    w.pass(seconds(31));
    w.alerting.acknowledge(w.alert().id, "ann");
    w.pass(seconds(1));
    assert.deepEqual(w.told().slice(2), ["chat update: cpu on pi-1"]);
    assert.deepEqual([w.sent[2]!.form, w.sent[2]!.group.acknowledged], ["edit", 1]);
    w.crash();
    w.well("cpu");
    w.pass(minutes(5));
    assert.deepEqual(
      w.sent.slice(3).map(({ contact, kind, form, isLast }) => [contact, kind, form, isLast]),
      [
        ["chat", "resolved", "edit", false],
        ["chat", "resolved", "reply", true], // an edit makes no sound
        ["ops", "resolved", "message", true],
      ],
    );
    assert.equal(w.sent[4]!.id, `${w.sent[3]!.id}.reply`);
  });

  test("more of the same only changes the message; what is worse than was told is heard; what begins anew is a new message", () => {
    const w = world(EDITS);
    const forms = (from: number): string[] =>
      w.sent.slice(from).flatMap(({ contact, kind, form }) => (contact === "chat" ? [`${kind} ${form}`] : []));
    w.read("cpu", { thing: "a" });
    w.pass(seconds(31));
    w.read("cpu", { thing: "b" });
    w.pass(minutes(5));
    assert.deepEqual(forms(0), ["firing message", "firing edit"]);
    w.read("cpu", { thing: "c", severity: "critical" });
    w.pass(minutes(5));
    assert.deepEqual(forms(4), ["firing edit", "firing reply"]);
    for (const thing of ["a", "b", "c"]) w.well("cpu", { thing });
    w.pass(minutes(6));
    const over = w.sent.length;
    w.read("cpu", { thing: "a" });
    w.pass(minutes(6));
    assert.deepEqual(forms(over), ["firing message"]);
  });

  test("edits are limited as messages are, wait for their turn, and are never put into a digest", () => {
    const w = world({ ...EDITS, contacts: [{ name: "chat", edits: true, perMinute: 2 }, EDITS.contacts[1]] });
    w.read("cpu");
    w.pass(seconds(31));
    for (let i = 0; i < 50; i++) {
      w.alerting.comment(w.alert().id, `note ${i}`, "ann");
      w.pass(seconds(1));
    }
    const edits = w.sent.filter(({ form }) => form === "edit").length;
    assert.ok(edits >= 1 && edits <= 3, `${edits} edits`);
    w.alerting.acknowledge(w.alert().id, "ann");
    w.pass(minutes(1));
    assert.equal(w.sent.findLast(({ form }) => form === "edit")!.group.acknowledged, 1);
    assert.ok(w.sent.every(({ kind }) => kind !== "digest"));
  });
});

describe("what people do", () => {
  test("the whole story of an alert, with who and when", () => {
    const w = world();
    w.read("cpu");
    const { id } = w.alert();
    w.pass(seconds(31));
    w.alerting.acknowledge(id, "ann", "on it");
    w.alerting.assign(id, "bob", "ann");
    w.alerting.comment(id, "fan is dead", "bob");
    w.crash();
    w.alerting.resolve(id, "bob", "new fan");
    const { alert, history } = w.alerting.get(id);
    assert.deepEqual([alert.phase, alert.acknowledgedBy, alert.assignee], ["resolved", "ann", "bob"]);
    assert.deepEqual(
      history.map(({ type, by, note }) => [type, by, note]),
      [
        ["raised", null, null],
        ["notified", null, "ops (chat)"],
        ["acknowledged", "ann", "on it"],
        ["assigned", "ann", "bob"],
        ["commented", "bob", "fan is dead"],
        ["resolved", "bob", "new fan"],
      ],
    );
    assert.throws(() => w.alerting.comment("nothing", "x", null), /no alert named 'nothing'/);
  });

  test("taking an acknowledgement back makes it firing again", () => {
    const w = world();
    w.read("cpu");
    const { id } = w.alert();
    assert.equal(w.alerting.acknowledge(id, "ann").phase, "acknowledged");
    assert.equal(w.alerting.unacknowledge(id, "bob").phase, "firing");
  });

  test("an alert by hand: the same key refreshes it, and somebody ends it", () => {
    const w = world();
    const draft = { thing: "door", severity: "critical", summary: "The door is open" } as const;
    const first = w.alerting.raise(draft);
    w.pass(seconds(40));
    const again = w.alerting.raise(draft);
    assert.deepEqual([again.id, again.count, again.source], [first.id, 2, "manual"]);
    w.alerting.resolve(first.id, "ann", null);
    w.pass(minutes(5));
    assert.deepEqual(w.told(), ["ops firing: The door is open", "ops resolved: The door is open"]);
    assert.notEqual(w.alerting.raise(draft).id, first.id);
  });

  test("the story is bounded, the newest lines are kept", () => {
    const w = world();
    w.read("cpu");
    for (let i = 0; i < 200; i++) w.alerting.comment(w.alert().id, `${i}`, "ann");
    const { history } = w.alerting.get(w.alert().id);
    assert.equal(history.length, w.limits.alertTransitionsMax);
    assert.equal(history.at(-1)!.note, "199");
  });
});
