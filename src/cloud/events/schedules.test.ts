import assert from "node:assert/strict";
import { test } from "node:test";
import { SimClock, SimLogger, SimMetrics } from "../../../sim/world.ts";
import { cronTimes } from "../../adapters/cron-times.ts";
import { TidewireError, hours, minutes, seconds } from "../../base/mod.ts";
import type { JsonObject, Message } from "../../base/mod.ts";
import type { StoredDocument } from "../../rules/mod.ts";
import { Schedules } from "./schedules.ts";

const NOON = Date.parse("2026-11-22T12:00:00Z");
const EVERY_MINUTE = {
  cron: "* * * * *",
  topic: "plant/tick",
  payload: { at: "${timestamp}", text: "${name} ${time}" },
};

/** What is kept survives `restart`; messages are on disk at once unless `broken`. */
function world(now = NOON) {
  const clock = new SimClock(now);
  const metrics = new SimMetrics();
  const sent: Message[] = [];
  const kept = new Map<string, StoredDocument>();
  const disk = { broken: false };
  const open = (): Schedules =>
    new Schedules({
      clock,
      cron: cronTimes(),
      scheduler: clock,
      logger: new SimLogger(),
      metrics,
      stored: [...kept.values()],
      keep: (documents) => {
        for (const one of documents) kept.set(`${one.kind} ${one.name}`, one);
      },
      publish: async (message) => {
        if (disk.broken) throw new TidewireError("LOG_FULL", { reason: "test" });
        sent.push(message);
      },
    });
  let schedules = open();
  let documents = new Map<string, JsonObject>();
  const put = (name: string, input: JsonObject): void => {
    const document = schedules.check(name, input);
    for (const one of schedules.beside(name, document)) kept.set(`${one.kind} ${one.name}`, one);
    documents = new Map([...documents, [name, document]]);
    schedules.adopt(documents);
  };
  const restart = async (): Promise<void> => {
    await schedules.close();
    schedules = open();
    schedules.adopt(documents);
    schedules.start();
    await clock.run(0);
  };
  const texts = (): string[] => sent.map(({ payload }) => new TextDecoder().decode(payload));
  schedules.start();
  return { clock, metrics, sent, disk, put, restart, texts, schedules: () => schedules };
}

test("on the second, with the words filled in", async () => {
  const { clock, put, texts, sent } = world();
  put("tick", EVERY_MINUTE);
  await clock.run(minutes(2) + 1);
  const at = NOON + minutes(1);
  assert.deepEqual(texts(), [
    JSON.stringify({ at, text: `tick ${new Date(at).toISOString()}` }),
    JSON.stringify({ at: at + minutes(1), text: `tick ${new Date(at + minutes(1)).toISOString()}` }),
  ]);
  const { topic, qos, retain, clientId } = sent[0]!;
  assert.deepEqual(
    { topic, qos, retain, clientId },
    { topic: "plant/tick", qos: 1, retain: false, clientId: "schedule:tick" },
  );
});

test("changed, disabled, deleted: from then on", async () => {
  const { clock, put, sent } = world();
  put("tick", EVERY_MINUTE);
  put("tick", { ...EVERY_MINUTE, cron: "*/10 * * * * *" });
  await clock.run(seconds(30) + 1);
  assert.equal(sent.length, 3);
  put("tick", { ...EVERY_MINUTE, enabled: false });
  await clock.run(hours(1));
  assert.equal(sent.length, 3);
});

test("missed while the platform was down: left out, or made up for once, also before the first run", async () => {
  const { clock, put, restart, sent, schedules } = world();
  put("skips", { ...EVERY_MINUTE, topic: "skips" });
  put("once", { ...EVERY_MINUTE, topic: "once", missed: "once" });
  await schedules().close();
  await clock.run(hours(3));
  await restart();
  assert.deepEqual(
    sent.map(({ topic }) => topic),
    ["once"],
  );
  await restart();
  assert.equal(sent.length, 1, "not again");
  await clock.run(minutes(1));
  assert.deepEqual(sent.map(({ topic }) => topic).sort(), ["once", "once", "skips"]);
});

test("a message that is not taken is told and counted; the next one comes in its time", async () => {
  const { clock, put, disk, sent, schedules, metrics } = world();
  put("tick", EVERY_MINUTE);
  disk.broken = true;
  await clock.run(minutes(1) + 1);
  assert.match(schedules().list()[0]!.lastError!, /takes nothing more/);
  disk.broken = false;
  await clock.run(minutes(1));
  assert.equal(sent.length, 1);
  assert.equal(schedules().list()[0]!.lastError, null);
  assert.equal(metrics.value("tidewire_schedule_failures_total"), 1);
});

test("what is wrong is told with its place", () => {
  const { schedules } = world();
  const faultOf = (change: JsonObject): string => {
    try {
      schedules().check("x", { ...EVERY_MINUTE, ...change });
    } catch (error) {
      assert.ok(error instanceof TidewireError);
      return String(error.details["at"]);
    }
    return assert.fail("it was taken");
  };
  assert.equal(faultOf({ cron: "61 * * * *" }), "cron");
  assert.equal(faultOf({ timezone: "Mars/Olympus" }), "timezone");
  for (const topic of ["a/#", "$aws/x", ""]) assert.equal(faultOf({ topic }), "topic");
  assert.equal(faultOf({ missed: "always" }), "missed");
  assert.equal(faultOf({ topics: "a" }), "topics");
});
