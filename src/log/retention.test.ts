/** What retention removes by age when the clock cannot be relied on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { days, hours } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";
import { Scene, bytesOf } from "./log.fixture.ts";
import type { Log } from "./log.ts";

const YEARS_TEN: number = days(3652);
const LIMITS = {
  diskCheckPeriod: hours(1),
  retentionAge: days(7),
  segmentAgeMax: days(1),
  retentionBytes: 1e9,
  segmentBytesMax: 1e6,
};

/** A record every six hours, and retention, for so long. */
async function live(scene: Scene, log: Log, time: Millis): Promise<void> {
  for (let passed = 0; passed < time; passed += hours(6)) {
    await scene.clock.run(hours(6));
    log.append(bytesOf("record"));
    await scene.settle(log);
    await scene.drive(log.retain(Infinity));
  }
}

/** Days of records that the log keeps. */
const kept = (log: Log): number => (log.durable - log.first) / 4;

test("by a clock that goes right, a week and the day of the open segment stay", async () => {
  const scene = new Scene(LIMITS);
  const log = await scene.open();
  await live(scene, log, days(20));
  assert.ok(kept(log) >= 7 && kept(log) <= 9.5, `${kept(log)} days`);
  await scene.drive(log.close());
});

test("a clock that leaps ten years ahead for some hours removes nothing before its time", async () => {
  const scene = new Scene(LIMITS);
  const log = await scene.open();
  await live(scene, log, days(10));
  scene.clock.jump(YEARS_TEN);
  await live(scene, log, hours(18));
  assert.ok(kept(log) >= 7, `${kept(log)} days are left while the clock was wrong`);
  scene.clock.jump(-YEARS_TEN);
  await live(scene, log, hours(6));
  assert.ok(kept(log) >= 7, `${kept(log)} days are left after it was corrected`);
  await live(scene, log, days(20));
  assert.ok(kept(log) >= 7 && kept(log) <= 9.5, `${kept(log)} days: what was written meanwhile goes, too`);
  await scene.drive(log.close());
});

test("a clock that stays ten years ahead is believed after a day", async () => {
  const scene = new Scene(LIMITS);
  const log = await scene.open();
  await live(scene, log, days(10));
  scene.clock.jump(YEARS_TEN);
  await live(scene, log, days(2));
  assert.ok(kept(log) <= 3, `${kept(log)} days`);
  await live(scene, log, days(20));
  assert.ok(kept(log) >= 7 && kept(log) <= 9.5, `${kept(log)} days`);
  await scene.drive(log.close());
});

test("a clock that is ten years back does not stop retention: a week later it goes on as ever", async () => {
  const scene = new Scene(LIMITS);
  const log = await scene.open();
  await live(scene, log, days(10));
  scene.clock.jump(-YEARS_TEN);
  await live(scene, log, days(3));
  assert.ok(kept(log) >= 7, `${kept(log)} days`);
  await live(scene, log, days(20));
  assert.ok(kept(log) >= 7 && kept(log) <= 9.5, `${kept(log)} days`);
  await scene.drive(log.close());
});

test("a start with a clock ten years ahead removes nothing on its first day", async () => {
  const scene = new Scene(LIMITS);
  let log = await scene.open();
  await live(scene, log, days(10));
  await scene.drive(log.close());
  scene.clock.jump(YEARS_TEN);
  log = await scene.open();
  await live(scene, log, hours(18));
  assert.ok(kept(log) >= 7, `${kept(log)} days`);
  await scene.drive(log.close());
});

test("whatever the age and the clock, what a consumer still needs stays", async () => {
  const scene = new Scene({ ...LIMITS, retentionBytes: 1 });
  const log = await scene.open();
  for (let day = 0; day < 30; day++) {
    await scene.clock.run(days(1));
    log.append(bytesOf("record"));
    await scene.settle(log);
    await scene.drive(log.retain(3));
  }
  assert.ok(log.first <= 3);
  await scene.drive(log.close());
});
