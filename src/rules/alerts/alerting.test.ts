/** Who is told of what fires, in which groups, and who is not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hours, minutes, seconds } from "../../base/mod.ts";
import { OPS, world } from "./alerting.fixture.ts";

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
