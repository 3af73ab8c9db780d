import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { minutes, seconds } from "../../base/mod.ts";
import { defaultRules } from "../defaults.ts";
import type { RuleAction } from "../actions/registry.ts";
import type { Alert } from "./model.ts";
import { Receiver, World } from "../rules.fixture.ts";

let receiver: Receiver;
let world: World;
let notify: readonly RuleAction[];

describe("alerts", () => {
  beforeEach(async () => {
    receiver = await Receiver.start();
    notify = [{ webhook: { url: receiver.url } }];
  });

  afterEach(async () => {
    await world.close();
    await Receiver.downAll();
  });

  async function begin(): Promise<void> {
    world = await World.start({ defaults: defaultRules(), notify });
  }

  /** A reading as the agent's system source sends it. */
  function reading(cpu: number, thing = "pi-1", memory = 40): number {
    const system = {
      ts: world.clock.now(),
      cpu: { percent: cpu, core0: cpu, core1: cpu },
      memory: { percent: memory, usedBytes: 4e9, totalBytes: 1e10 },
      disk: { percent: 50, usedBytes: 5e9, totalBytes: 1e10 },
    };
    return world.publish(`telemetry/${thing}/system`, system, { thing, clientId: thing });
  }

  /** One reading a second. */
  async function readings(cpu: number, count: number, thing?: string): Promise<void> {
    for (let i = 0; i < count; i++) {
      reading(cpu, thing);
      await world.pass(seconds(1));
    }
  }

  function told(): { type: string; timestamp: string; data: Alert }[] {
    return receiver.bodies.map((body) => JSON.parse(body) as { type: string; timestamp: string; data: Alert });
  }

  describe("one alert from raise to resolve", () => {
    test("raised once, confirmed by further readings, resolved after 15 seconds below", async () => {
      await begin();
      const started = world.clock.now();
      await readings(95.4, 10);
      const [alert] = world.rules.alerts.list({ state: "active", limit: 10 });
      assert.deepEqual(alert, {
        id: "cpu_high.pi-1.0",
        rule: "cpu_high",
        key: "pi-1",
        thing: "pi-1",
        source: "rule",
        severity: "warning",
        state: "active",
        phase: "firing",
        summary: "CPU at 95 % on pi-1",
        value: "95 %",
        threshold: "90 %",
        labels: {},
        since: started,
        raisedAt: started,
        lastSeenAt: started + 9000,
        resolvedAt: null,
        acknowledgedAt: null,
        acknowledgedBy: null,
        assignee: null,
        snoozedUntil: null,
        flapping: false,
        count: 10,
      } satisfies Alert);
      await readings(20, 15);
      assert.equal(world.rules.alerts.active().length, 1, "14 seconds below are not enough");
      await readings(20, 1);
      assert.equal(world.rules.alerts.active().length, 0);
      const [resolved] = world.rules.alerts.list({ state: "all", limit: 10 });
      assert.equal(resolved!.state, "resolved");
      assert.equal(resolved!.resolvedAt, started + 25_000);
      assert.deepEqual(
        told().map(({ type }) => type),
        ["alert.raised", "alert.resolved"],
      );
      assert.deepEqual(
        receiver.received.map((r) => r.headers["webhook-id"]),
        ["cpu_high.pi-1.0.raised", "cpu_high.pi-1.0.resolved"],
      );
      assert.equal(told()[0]!.timestamp, new Date(started).toISOString());
      assert.deepEqual(told()[1]!.data, resolved);
    });

    test("one dip below does not resolve it: the time starts anew", async () => {
      await begin();
      await readings(95, 1);
      for (let i = 0; i < 4; i++) {
        await readings(20, 10);
        await readings(95, 1);
      }
      assert.equal(world.rules.alerts.active()[0]!.count, 5);
      assert.equal(told().length, 1);
    });

    test("readings without the field say nothing: neither raised nor resolved", async () => {
      await begin();
      await readings(95, 1);
      for (let i = 0; i < 60; i++) {
        world.publish("telemetry/pi-1/system", { cpu: {} });
        world.publish("telemetry/pi-1/system", new TextEncoder().encode("not json"));
        await world.pass(seconds(1));
      }
      assert.equal(world.rules.alerts.active().length, 1);
    });

    test("silence says nothing either", async () => {
      await begin();
      await readings(95, 1);
      await world.pass(minutes(10), minutes(1));
      assert.equal(world.rules.alerts.active().length, 1);
    });

    test("things and rules have their own", async () => {
      await begin();
      reading(95, "a", 95);
      reading(95, "b");
      reading(10, "c");
      await world.pass(0);
      assert.deepEqual(
        world.rules.alerts
          .active()
          .map((alert) => `${alert.rule} ${alert.thing}`)
          .sort((x, y) => (x < y ? -1 : 1)),
        ["cpu_high a", "cpu_high b", "memory_high a"],
      );
      assert.equal(world.rules.alerts.activeCount("a"), 2);
      assert.equal(world.rules.alerts.list({ state: "all", limit: 10, thing: "b" }).length, 1);
      assert.equal(world.rules.alerts.list({ state: "all", limit: 10, thing: "c" }).length, 0);
      assert.equal(world.rules.alerts.activeCount("c"), 0);
      assert.deepEqual(
        world.rules.alerts.active("b").map((alert) => alert.rule),
        ["cpu_high"],
      );
      assert.equal(world.metrics.value("tidewire_alerts_active"), 3);
    });

    test("the same thing again later is a new alert", async () => {
      await begin();
      await readings(95, 1);
      await readings(20, 20);
      await readings(95, 1);
      const all = world.rules.alerts.list({ state: "all", limit: 10 });
      assert.deepEqual(
        all.map((alert) => alert.state),
        ["active", "resolved"],
      );
      assert.notEqual(all[0]!.id, all[1]!.id);
    });

    test("clearAfterSeconds 0 resolves with the first reading below", async () => {
      await begin();
      world.rules.put("door", {
        sql: "SELECT * FROM 'doors/+' WHERE open",
        actions: [{ alert: { severity: "info", summary: "Door ${topic(2)} is open", clearAfterSeconds: 0 } }],
      });
      world.publish("doors/3", { open: true });
      assert.equal(world.rules.alerts.active()[0]!.summary, "Door 3 is open");
      world.publish("doors/3", { open: false });
      assert.equal(world.rules.alerts.active().length, 0);
    });

    test("a publisher without a thing stands for itself; its name cannot break out of the id", async () => {
      await begin();
      world.publish("telemetry/x/system", { cpu: { percent: 99 } }, { thing: null, clientId: "a/b c.d\n" });
      const [alert] = world.rules.alerts.active();
      assert.equal(alert!.thing, "a/b c.d\n");
      assert.equal(alert!.id, "cpu_high.a%2Fb%20c%2Ed%0A.0");
      await world.pass(0);
      assert.equal(receiver.received[0]!.headers["webhook-id"], `${alert!.id}.raised`);
    });
  });

  describe("telling", () => {
    test("slack gets a message that a person can read", async () => {
      receiver.standing = { status: 200, body: "ok" };
      notify = [{ slack: { url: receiver.url } }];
      await begin();
      await readings(97, 1, "pump<1>");
      await readings(20, 200, "pump<1>");
      const texts = receiver.bodies.map((body) => (JSON.parse(body) as { text: string }).text);
      assert.deepEqual(texts, [
        ":warning: *Warning*: CPU at 97 % on pump&lt;1&gt;\npump&lt;1&gt; · rule `cpu_high` · 97 % (threshold 90 %) · since 2026-01-01 00:00 UTC",
        ":white_check_mark: *Resolved*: CPU at 97 % on pump&lt;1&gt;\npump&lt;1&gt; · rule `cpu_high` · 97 % (threshold 90 %) · lasted 16 s",
      ]);
    });

    test("every target is told, also when one is down for a while", async () => {
      const other = await Receiver.start();
      notify = [{ webhook: { url: receiver.url } }, { webhook: { url: other.url } }];
      await begin();
      await receiver.down();
      await readings(95, 3);
      assert.equal(other.received.length, 1);
      receiver.answers.push(500, 500);
      await receiver.up();
      await world.pass(minutes(5), seconds(5));
      assert.equal(receiver.received.length, 3);
      assert.equal(new Set(receiver.received.map((r) => r.headers["webhook-id"])).size, 1);
    });

    test("one that is not told any more after a restart: what waits for it goes to nobody else, who was told already", async () => {
      const other = await Receiver.start();
      const webhookOf = ({ url }: Receiver): RuleAction => ({ webhook: { url } });
      notify = [webhookOf(receiver), webhookOf(other)];
      await begin();
      await receiver.down();
      await readings(95, 3);
      assert.equal(other.received.length, 1);
      await world.restart(undefined, { notify: [webhookOf(other)] });
      await world.pass(minutes(5), seconds(5));
      assert.equal(other.received.length, 1);
      await receiver.up();
      await world.pass(minutes(30), seconds(5));
      assert.equal(receiver.received.length, 1, "it goes to where it was made for");
    });

    test("listeners hear of raise, acknowledge and resolve at once, of counts each second; a bad one harms nobody", async () => {
      await begin();
      const heard: string[] = [];
      world.rules.alerts.onChange(() => {
        throw new Error("bad listener");
      });
      const stop = world.rules.alerts.onChange((alert) => heard.push(`${alert.state} ${alert.count}`));
      await readings(95, 20);
      world.rules.alerts.acknowledge("cpu_high.pi-1.0");
      await readings(20, 20);
      assert.equal(heard[0], "active 1");
      assert.equal(heard.at(-1), "resolved 20");
      assert.ok(heard.includes("active 19") && heard.length <= 25, heard.join(", "));
      stop();
      await readings(95, 1);
      assert.equal(heard.at(-1), "resolved 20");
    });
  });

  describe("acknowledging", () => {
    test("is kept over a crash, and repeating it changes nothing", async () => {
      await begin();
      await readings(95, 1);
      const { id } = world.rules.alerts.active()[0]!;
      const at = world.clock.now();
      assert.equal(world.rules.alerts.acknowledge(id).acknowledgedAt, at);
      await world.crash();
      await world.pass(seconds(10));
      assert.equal(world.rules.alerts.acknowledge(id).acknowledgedAt, at);
      assert.throws(() => world.rules.alerts.acknowledge("nothing"), /no alert named 'nothing'/);
    });

    test("works for resolved ones, too", async () => {
      await begin();
      await readings(95, 1);
      const { id } = world.rules.alerts.active()[0]!;
      await readings(20, 30);
      assert.notEqual(world.rules.alerts.acknowledge(id).acknowledgedAt, null);
      await world.restart();
      assert.notEqual(world.rules.alerts.list({ state: "all", limit: 1 })[0]!.acknowledgedAt, null);
    });
  });

  describe("crash and restart", () => {
    test("crashes at every moment: the story is told exactly as without them", async () => {
      const story = [...Array.from({ length: 5 }, () => 95), ...Array.from({ length: 20 }, () => 20), 95, 96, 20];
      const outcomes: string[] = [];
      for (let crashAt = -1; crashAt < story.length; crashAt++) {
        receiver.received.length = 0;
        await begin();
        for (const [i, cpu] of story.entries()) {
          reading(cpu);
          if (i === crashAt) await world.crash(); // with the reading handled, but nothing of it saved
          await world.pass(seconds(1));
          if (i === crashAt - 3) await world.crash(); // after a save
        }
        await world.pass(seconds(30), seconds(1));
        const alerts = world.rules.alerts.list({ state: "all", limit: 10 });
        const ids = [...new Set(receiver.received.map((r) => String(r.headers["webhook-id"])))];
        outcomes.push(JSON.stringify({ alerts, ids }));
        if (crashAt < story.length - 1) await world.close();
      }
      assert.equal(new Set(outcomes).size, 1, [...new Set(outcomes)].join("\n"));
      assert.match(outcomes[0]!, /"count":2.*"count":5/);
    });

    test("a crash while the notification is on its way: it is sent again, with the same id", async () => {
      await begin();
      receiver.standing = "hang";
      reading(95);
      world.clock.advance(0);
      await receiver.count(1);
      world.clock.advance(seconds(2)); // the alert is saved, and with it the notification
      await receiver.down();
      await world.crash();
      assert.equal(world.rules.alerts.active().length, 1);
      receiver.standing = 200;
      await receiver.up();
      await world.pass(minutes(1), seconds(1));
      assert.deepEqual(
        receiver.received.map((r) => r.headers["webhook-id"]),
        ["cpu_high.pi-1.0.raised", "cpu_high.pi-1.0.raised"],
      );
      assert.equal(world.metrics.value("tidewire_deliveries_waiting"), 0);
    });

    test("how long it has been below survives a restart", async () => {
      await begin();
      await readings(95, 1);
      await readings(20, 10);
      await world.restart();
      await readings(20, 6);
      assert.equal(world.rules.alerts.active().length, 0);
    });

    test("an active alert whose rule went away just before a crash is resolved at the next start", async () => {
      await begin();
      await readings(95, 2);
      world.store.change({ rules: [], deletes: ["cpu_high"], documents: [] });
      await world.crash();
      await world.pass(seconds(2), seconds(1));
      assert.equal(world.rules.alerts.active().length, 0);
      assert.deepEqual(
        told().map(({ type }) => type),
        ["alert.raised", "alert.resolved"],
      );
    });
  });

  describe("what ends an alert besides readings", () => {
    for (const [what, act] of [
      ["deleting", (): void => world.rules.delete("cpu_high")],
      ["disabling", (): void => void world.rules.disable("cpu_high")],
      [
        "taking the alert action out of",
        (): void => void world.rules.put("cpu_high", { sql: "SELECT * FROM 'x'", actions: [] }),
      ],
    ] as const) {
      test(`${what} the rule resolves its alerts, and says so`, async () => {
        await begin();
        await readings(95, 1);
        act();
        await world.pass(seconds(1));
        assert.equal(world.rules.alerts.active().length, 0);
        assert.deepEqual(
          told().map(({ type }) => type),
          ["alert.raised", "alert.resolved"],
        );
      });
    }

    test("changing the threshold keeps the alert until readings speak", async () => {
      await begin();
      await readings(95, 1);
      const rule = world.rules.get("cpu_high")!;
      world.rules.put("cpu_high", { sql: rule.sql.replace("> 90", "> 99"), actions: rule.actions });
      assert.equal(world.rules.alerts.active().length, 1);
      await readings(95, 16);
      assert.equal(world.rules.alerts.active().length, 0);
    });

    test("removing a thing resolves its alerts only", async () => {
      await begin();
      reading(95, "a");
      reading(95, "b");
      assert.equal(world.rules.dismissThing("a"), 1);
      assert.deepEqual(
        world.rules.alerts.active().map((alert) => alert.thing),
        ["b"],
      );
    });
  });

  describe("limits", () => {
    test("history is bounded, in memory and on disk; the newest are kept", async () => {
      world = await World.start({ limits: { alertsHistoryMax: 20 } });
      world.rules.put("flap", {
        sql: "SELECT * FROM 'f' WHERE on",
        actions: [{ alert: { severity: "info", summary: "on", clearAfterSeconds: 0 } }],
      });
      for (let i = 0; i < 100; i++) {
        world.publish("f", { on: true });
        world.publish("f", { on: false });
        await world.pass(seconds(1));
      }
      assert.ok(world.rules.alerts.list({ state: "all", limit: 1000 }).length <= 22);
      await world.restart();
      const kept = world.rules.alerts.list({ state: "all", limit: 1000 });
      assert.equal(kept.length, 20);
      assert.equal(kept[0]!.id, "flap.pi-1.198");
    });

    test("more active alerts than the limit are refused, counted and told", async () => {
      world = await World.start({ limits: { alertsActiveMax: 3 }, defaults: defaultRules() });
      for (let i = 0; i < 10; i++) reading(95, `thing-${i}`);
      assert.equal(world.rules.alerts.active().length, 3);
      assert.equal(world.metrics.value("tidewire_alerts_refused_total"), 7);
    });

    test("a long summary is cut", async () => {
      await begin();
      world.rules.put("long", {
        sql: "SELECT * FROM 'l'",
        actions: [{ alert: { severity: "info", summary: "${s}" } }],
      });
      world.publish("l", { s: "x".repeat(5000) });
      assert.equal(world.rules.alerts.active()[0]!.summary.length, 500);
    });
  });
});
