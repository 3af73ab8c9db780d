import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hours, minutes, seconds } from "../../base/mod.ts";
import { AlertWorld, planOf } from "./alerting.fixture.ts";

const OPS = { contacts: [{ name: "ops", chat: true }], route: { contacts: ["ops"] } };

function world(alerts: object = OPS, options = {}): AlertWorld {
  return new AlertWorld(planOf(alerts), options);
}

describe("grouping", () => {
  test("alerts of a rule wait for each other and go as one message; what follows waits for the interval", () => {
    const w = world();
    w.read("cpu", { thing: "a" });
    w.pass(seconds(20));
    w.read("cpu", { thing: "b" });
    w.read("disk", { thing: "a", severity: "critical" });
    w.pass(seconds(10));
    assert.deepEqual(w.told(), ["ops firing: 2 alerts of cpu: 2 warning"]);
    w.pass(seconds(20));
    assert.deepEqual(w.told()[1], "ops firing: disk on a");
    w.read("cpu", { thing: "c" });
    w.pass(minutes(4));
    assert.equal(w.sent.length, 2);
    w.pass(minutes(1));
    assert.equal(w.told()[2], "ops firing: 3 alerts of cpu: 3 warning");
    assert.deepEqual(w.sent[2]!.lines, ["warning: cpu on c", "warning: cpu on b", "warning: cpu on a"]);
  });

  test("resolved before anybody was told: nobody is", () => {
    const w = world();
    w.read("cpu");
    w.pass(seconds(29));
    w.well("cpu");
    w.pass(minutes(20));
    assert.deepEqual(w.told(), []);
    assert.deepEqual(
      w.rows.filter(({ kind }) => kind === "group"),
      [],
    );
  });

  test("that it is over is told, with how long it lasted; and then it may begin anew", () => {
    const w = world();
    w.read("cpu");
    w.pass(minutes(7));
    w.well("cpu");
    w.pass(minutes(5));
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1", "ops resolved: cpu on pi-1"]);
    const { duration, since, device, value, threshold } = w.sent[1]!;
    assert.deepEqual(
      { duration, device, value, threshold },
      { duration: minutes(7), device: "pi-1", value: "95", threshold: "90" },
    );
    assert.equal(since, w.alert().since);
    w.read("cpu");
    w.pass(seconds(31));
    assert.equal(w.told()[2], "ops firing: cpu on pi-1");
  });

  test("what goes on is repeated every four hours, unless somebody has acknowledged it", () => {
    const w = world();
    w.read("cpu");
    w.pass(seconds(30));
    w.passLong(hours(9));
    assert.deepEqual(
      w.sent.map(({ kind }) => kind),
      ["firing", "repeat", "repeat"],
    );
    w.alerting.acknowledge(w.alert().id, "ann");
    w.passLong(hours(9));
    assert.equal(w.sent.length, 3);
  });

  test("a storm of 10,000 alerts is one message that says what it leaves out", () => {
    const w = world();
    for (let i = 0; i < 10_000; i++)
      w.read("cpu", { thing: `pi-${i}`, severity: i % 10 === 0 ? "critical" : "warning" });
    w.pass(minutes(4));
    assert.equal(w.sent.length, 1);
    const { title, lines, group, alerts, severity } = w.sent[0]!;
    assert.equal(title, "10,000 alerts of cpu: 1,000 critical, 9,000 warning");
    assert.equal(severity, "critical");
    assert.equal(lines.length, 11);
    assert.match(lines[0]!, /^critical: /);
    assert.equal(lines[10], "… and 9,990 more");
    assert.equal(alerts.length, 10);
    assert.deepEqual(group.bySeverity, { info: 0, warning: 9000, critical: 1000 });
    assert.ok(JSON.stringify(w.sent[0]).length < 20_000);
    for (let i = 0; i < 10_000; i++) w.well("cpu", { thing: `pi-${i}` });
    w.pass(minutes(5));
    assert.deepEqual(w.told()[1], "ops resolved: 10,000 alerts of cpu over");
    assert.equal(w.metrics.value("tidewire_alert_groups"), 0);
  });

  test("a storm in 10,000 groups is a few messages and a digest of the rest", () => {
    const w = world({ ...OPS, route: { contacts: ["ops"], groupBy: ["thing"], repeatInterval: "never" } });
    for (let i = 0; i < 10_000; i++) w.read("cpu", { thing: `pi-${i}` });
    w.pass(minutes(2));
    assert.equal(w.sent.length, 11);
    const digest = w.sent[10]!;
    assert.equal(digest.kind, "digest");
    assert.equal(digest.group.firing, 9990);
    assert.equal(digest.lines.at(-1), "… and 9,980 more");
  });
});

describe("routing", () => {
  const TREE = {
    contacts: [
      { name: "ops", chat: true },
      { name: "phone", chat: true },
      { name: "log", program: true },
    ],
    times: [
      { name: "office", days: ["mon", "tue", "wed", "thu", "fri"], from: "08:00", to: "18:00", zone: "Europe/Berlin" },
    ],
    route: {
      contacts: ["ops"],
      groupWait: "0",
      routes: [
        { contacts: ["log"], continue: true, groupBy: ["id"] },
        {
          match: ["severity=critical", "attributes.site=berlin|ulm"],
          contacts: ["phone"],
          routes: [{ match: ["thing=lab-*"], contacts: ["ops"], only: ["office"] }],
        },
      ],
    },
  };
  const site = { "attributes.site": "berlin" };

  test("the deepest that matches, and those that continue", () => {
    const w = world(TREE);
    w.read("fire", { severity: "critical", labels: site });
    w.read("cpu");
    w.pass(seconds(1));
    assert.deepEqual(w.told().sort(), [
      "log firing: cpu on pi-1",
      "log firing: fire on pi-1",
      "phone firing: fire on pi-1",
    ]);
  });

  test("a route that tells only within office hours: told when they begin", () => {
    const w = world(TREE, { start: Date.parse("2026-11-23T06:30:00Z") }); // Monday, 07:30 in Berlin
    w.read("fire", { thing: "lab-1", severity: "critical", labels: site });
    w.pass(minutes(29));
    assert.deepEqual(w.told(), ["log firing: fire on lab-1"]);
    w.pass(minutes(6));
    assert.deepEqual(w.told()[1], "ops firing: fire on lab-1");
  });

  test("where would it go, and why", () => {
    const w = world(TREE, { start: Date.parse("2026-11-22T12:00:00Z") });
    const answer = w.alerting.route({ rule: "fire", thing: "lab-1", severity: "critical", labels: site });
    assert.deepEqual(
      answer.steps.map(({ route, failed, taken }) => `${route} ${failed} ${taken}`),
      ["0 null false", "0.0 null true", "0.1 null false", "0.1.0 null true"],
    );
    assert.equal(answer.groups[1]!.muted!.reason, "it is not office");
    const other = w.alerting.route({ rule: "fire", thing: "lab-1", severity: "critical", labels: {} });
    assert.equal(other.steps[2]!.failed, "attributes.site=berlin|ulm");
  });
});

describe("who is not told", () => {
  test("a root cause mutes what follows from it, but not itself, and not elsewhere", () => {
    const w = world({
      ...OPS,
      inhibit: [{ source: ["rule=gateway"], target: ["rule=gateway|sensor"], equal: ["site"] }],
    });
    const [ulm, bonn] = [{ labels: { site: "ulm" } }, { labels: { site: "bonn" } }];
    w.read("gateway", { thing: "gw", ...ulm });
    for (let i = 0; i < 5; i++) w.read("sensor", { thing: `s${i}`, ...ulm });
    w.read("sensor", { thing: "t", ...bonn });
    w.pass(minutes(3));
    assert.deepEqual(w.told(), ["ops firing: gateway on gw", "ops firing: sensor on t"]);
    const muted = w.alerting.list({ state: "active", limit: 9, thing: "s1" })[0]!;
    const cause = w.alerting.list({ state: "active", limit: 9, thing: "gw" })[0]!;
    assert.deepEqual(
      w.alerting.get(muted.id).history.map(({ type, note }) => [type, note]),
      [
        ["raised", null],
        ["muted", `alert ${cause.id} is the cause`],
      ],
    );
    w.well("gateway", { thing: "gw", ...ulm });
    w.pass(minutes(6));
    assert.ok(w.told().includes("ops resolved: gateway on gw"));
    assert.ok(w.told().includes("ops firing: 6 alerts of sensor: 6 warning"));
  });

  test("a silence mutes what matches until it ends; whoever made it is known", () => {
    const w = world();
    const silence = w.alerting.silence(
      { matchers: ["thing=pi-*"], endsAt: w.clock.now() + minutes(30), comment: "new fan" },
      "ann",
    );
    w.read("cpu");
    w.pass(minutes(29));
    assert.deepEqual(w.told(), []);
    assert.deepEqual(w.alerting.silences(), [{ ...silence, createdBy: "ann", comment: "new fan" }]);
    w.crash();
    w.pass(minutes(8));
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1"]);
  });

  test("a silence that is ended early: told soon", () => {
    const w = world();
    const { id } = w.alerting.silence({ matchers: ["rule=cpu"], endsAt: w.clock.now() + hours(9), comment: "" }, "ann");
    w.read("cpu");
    w.pass(minutes(1));
    w.alerting.endSilence(id);
    w.pass(seconds(31));
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1"]);
    assert.throws(() => w.alerting.endSilence("nothing"), /no silence named 'nothing'/);
  });

  for (const [what, draft, fault] of [
    ["without a matcher", { matchers: [] }, /matchers/],
    ["with one that is none", { matchers: ["cpu"] }, /matchers\[0\]/],
    ["that is over already", { endsAt: 1 }, /endsAt/],
    ["that never ends", { endsAt: 1e15 }, /endsAt/],
  ] as const) {
    test(`a silence ${what} is refused`, () => {
      const w = world();
      const whole = { matchers: ["rule=cpu"], endsAt: w.clock.now() + hours(1), comment: "", ...draft };
      assert.throws(() => w.alerting.silence(whole, "ann"), fault);
      assert.deepEqual(w.alerting.silences(), []);
    });
  }

  test("a snoozed alert is told when the snooze is over, an acknowledged one is not repeated", () => {
    const w = world();
    w.read("cpu");
    w.alerting.snooze(w.alert().id, w.clock.now() + minutes(20), "ann");
    w.pass(minutes(19));
    assert.deepEqual(w.told(), []);
    w.pass(minutes(6));
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1"]);
  });

  test("maintenance every Sunday at two, also in the night that lacks this hour and in the one that has it twice", () => {
    const maintenance = [{ name: "backup", match: ["rule=cpu"], cron: "0 2 * * 0", for: "1h", zone: "Europe/Berlin" }];
    const told = (start: string, span: number): string[] => {
      const w = world({ ...OPS, maintenance }, { start: Date.parse(start) });
      w.read("cpu");
      w.read("disk");
      w.pass(span);
      return w.told();
    };
    assert.deepEqual(told("2026-11-22T01:10:00Z", minutes(40)), ["ops firing: disk on pi-1"]);
    assert.deepEqual(told("2026-11-22T00:30:00Z", minutes(1)).length, 2);
    assert.deepEqual(told("2026-11-22T01:10:00Z", minutes(56)).length, 2, "over at three");
    // Spring: 02:00 does not exist; it begins at 03:00, which is 01:00 UTC.
    assert.deepEqual(told("2027-03-28T01:10:00Z", minutes(40)), ["ops firing: disk on pi-1"]);
    // Autumn: 02:00 comes twice; one window of one hour.
    const first = told("2026-10-25T00:10:00Z", minutes(40)).length;
    const second = told("2026-10-25T01:10:00Z", minutes(40)).length;
    assert.deepEqual([Math.min(first, second), Math.max(first, second)], [1, 2]);
  });

  test("maintenance once", () => {
    const maintenance = [
      { name: "move", match: [], from: "2026-11-22T08:00:00+01:00", to: "2026-11-22T09:00:00+01:00" },
    ];
    const w = world({ ...OPS, maintenance }, { start: Date.parse("2026-11-22T07:30:00Z") });
    w.read("cpu");
    w.pass(minutes(29));
    assert.deepEqual(w.told(), []);
    w.pass(minutes(7));
    assert.equal(w.sent.length, 1);
  });
});

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

describe("silence of a thing", () => {
  test("raised when nothing was heard for so long, resolved by the next word", () => {
    const w = world();
    w.hear("alive", "pi-1", minutes(2));
    w.pass(minutes(3));
    assert.equal(w.alert().source, "absent");
    assert.equal(w.alert().raisedAt, w.clock.now() - minutes(1));
    assert.deepEqual(w.told(), ["ops firing: alive: pi-1 is silent"]);
    w.hear("alive", "pi-1", minutes(2));
    assert.equal(w.alert().state, "resolved");
    w.pass(minutes(6));
    assert.equal(w.alert().raisedAt, w.clock.now() - minutes(4), "and again");
  });

  test("who never spoke is not missed; a word every minute keeps it quiet", () => {
    const w = world();
    for (let i = 0; i < 30; i++) {
      w.hear("alive", "pi-1", minutes(2));
      w.pass(minutes(1));
    }
    assert.deepEqual(w.told(), []);
    assert.ok(w.written < 70, `${w.written} rows`);
  });

  test("after a restart everybody has his time anew, and a replayed word is none", () => {
    const w = world();
    w.watched.add("alive");
    w.hear("alive", "pi-1", minutes(2), 5);
    w.pass(minutes(1));
    w.crash();
    w.pass(seconds(110));
    assert.equal(w.alerting.activeCount(), 0);
    w.pass(seconds(20));
    assert.equal(w.alerting.activeCount("pi-1"), 1);
    w.crash();
    w.hear("alive", "pi-1", minutes(2), 5);
    assert.equal(w.alerting.activeCount("pi-1"), 1);
    w.hear("alive", "pi-1", minutes(2), 6);
    assert.equal(w.alerting.activeCount("pi-1"), 0);
  });

  test("a rule that watches no more, and a thing that is forgotten, leave nothing behind", () => {
    const w = world();
    w.hear("alive", "pi-1", minutes(2));
    w.hear("alive", "pi-2", minutes(2));
    w.watched.add("alive");
    w.save();
    w.forget("pi-1");
    w.save();
    assert.deepEqual(
      w.rows.map(({ thing }) => thing),
      ["pi-2"],
    );
    w.watched.clear();
    w.crash();
    w.pass(minutes(5));
    assert.deepEqual(w.rows, []);
    assert.deepEqual(w.told(), []);
  });
});

describe("clocks", () => {
  test("a clock that leaps forward fires nothing early, and one that leaps back delays nothing", () => {
    for (const leap of [5 * 3_600_000, -5 * 3_600_000]) {
      const w = world();
      w.read("slow", { timing: { forSeconds: 60 } });
      w.read("cpu");
      w.pass(seconds(10));
      w.clock.jump(leap);
      w.pass(seconds(15));
      assert.deepEqual(w.told(), [], `${leap}`);
      w.pass(seconds(6));
      assert.deepEqual(w.told(), ["ops firing: cpu on pi-1"], `${leap}`);
      w.pass(seconds(25));
      assert.equal(w.alerting.activeCount(), 1);
      w.pass(seconds(8));
      assert.equal(w.alerting.activeCount(), 2);
    }
  });

  test("set back while the platform was off: what waits waits no longer than it has to", () => {
    const w = world();
    w.read("cpu");
    w.read("slow", { timing: { forSeconds: 60 } });
    w.pass(seconds(1));
    w.clock.jump(-24 * 3_600_000);
    w.crash();
    w.pass(seconds(35));
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1"]);
  });

  test("behind the log nothing is concluded from time", () => {
    const w = world();
    w.read("cpu");
    w.clock.advance(minutes(2));
    w.alerting.tick(false);
    assert.deepEqual(w.told(), []);
    w.alerting.tick(true);
    assert.equal(w.sent.length, 1);
  });
});

describe("crash and upgrade", () => {
  test("crashes at every second: what is told is the same, with the same ids", () => {
    const story = (crashAt: number): string[] => {
      const w = world();
      for (let second = 0; second < 420; second++) {
        if (second === 3) w.read("cpu", { thing: "a" });
        if (second === 20) w.read("cpu", { thing: "b", timing: { forSeconds: 10 } });
        if (second === 50) w.read("disk", { thing: "a" });
        if (second === 100) w.well("cpu", { thing: "a" });
        w.pass(1000);
        if (second === crashAt) w.crash();
      }
      return w.sent.map(({ id, kind, title }) => `${id} ${kind} ${title}`);
    };
    const without = story(-1);
    assert.equal(without.length, 3);
    for (let crashAt = 0; crashAt < 420; crashAt += 1) assert.deepEqual(story(crashAt), without, `crash at ${crashAt}`);
  });

  test("another configuration: new routes tell what goes on, old ones are forgotten", () => {
    const w = world();
    w.read("cpu");
    w.pass(seconds(31));
    const next = { contacts: [{ name: "new", chat: true }], route: { groupBy: ["thing"], contacts: ["new"] } };
    w.crash(planOf(next));
    w.pass(seconds(31));
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1", "new firing: cpu on pi-1"]);
    assert.deepEqual(
      w.rows.filter(({ kind }) => kind === "group").map(({ id }) => id),
      ["0:pi-1"],
    );
  });

  test("only what changed is written", () => {
    const w = world({ ...OPS, route: { contacts: ["ops"], groupInterval: "1h", repeatInterval: "never" } });
    for (let i = 0; i < 100; i++) w.read("cpu", { thing: `pi-${i}` });
    w.pass(seconds(60));
    const before = w.written;
    w.pass(seconds(60));
    assert.equal(w.written, before);
    w.alerting.acknowledge(w.alert().id, "ann");
    w.pass(seconds(2));
    assert.ok(w.written - before <= 3, `${w.written - before} rows`);
  });

  test("flapping: one notice, and over without a word", () => {
    const w = world();
    const timing = { clearAfterSeconds: 1, recovery: { factor: 1 }, flapping: { raises: 3, calmSeconds: 60 } } as const;
    for (let i = 0; i < 400; i++) {
      w.read("cpu", { verdict: i % 3 === 0 ? "breach" : "well", timing });
      w.pass(seconds(1));
    }
    assert.equal(w.alert().flapping, true);
    for (let i = 0; i < 400; i++) {
      w.well("cpu", { timing });
      w.pass(seconds(1));
    }
    assert.equal(w.alerting.activeCount(), 0);
    assert.deepEqual(w.told(), ["ops firing: cpu on pi-1"]);
  });
});
