import assert from "node:assert/strict";
import { test } from "node:test";
import type { FakePlatform } from "./fake-platform.ts";
import { browserTests, chart, live, pointsOf, until, untilPoint } from "./site.ts";

const open = browserTests();
const CPU = "system/cpu";
const MEMORY = "system/memory";
const FIELD = "cpu.percent";
/** A chart of the debug hook, as an expression. */
const shown = (id: string): string => `__tidewire.charts().find((c) => c.id === "${id}")`;
const THING = "/things/pump";

/** One reading per second; its value is its second's number within an hour, so a mix-up shows. */
const valueAt = (time: number): number => (time / 1000) % 100;

async function fill(platform: FakePlatform, from: number, to: number, step = 1000): Promise<void> {
  for (let time = from; time < to; time += step) {
    platform.store.commit("pump", "system", { [FIELD]: valueAt(time), "memory.percent": 50 }, time);
  }
}

const send = (platform: FakePlatform, time: number): Promise<void> =>
  platform.publish("pump", "system", { [FIELD]: valueAt(time), "memory.percent": 50 }, time);

function withPump(seconds: number): { now: number; prepare: (platform: FakePlatform) => Promise<void> } {
  const now = Math.floor(Date.now() / 1000) * 1000;
  return {
    now,
    prepare: async (platform) => {
      await platform.addThing("pump");
      await platform.connect("pump");
      await fill(platform, now - seconds * 1000, now);
    },
  };
}

/** Every second from the first to the last point is there exactly once, with its own value. */
function assertUnbroken(points: readonly [number, number][], first: number, last: number): void {
  const wanted = points.filter(([time]) => time >= first && time <= last);
  assert.equal(wanted.length, (last - first) / 1000 + 1, "points between first and last");
  for (const [i, [time, value]] of wanted.entries()) {
    assert.equal(time, first + i * 1000);
    assert.equal(value, valueAt(time));
  }
}

test("history and live join without a gap and without a double, though live points overtake the history", async () => {
  const { now, prepare } = withPump(120);
  let openGate = (): void => {};
  await using site = await open({
    at: THING,
    prepare: async (platform) => {
      await prepare(platform);
      platform.seriesGate = new Promise((resolve) => (openGate = resolve));
    },
  });
  const { page, platform } = site;
  // The page watches already and waits for its history; meanwhile readings arrive live, and the history holds them, too.
  await until(page, "__tidewire.feed()?.status === 'loading'");
  while (!platform.requests.some((request) => request.startsWith("GET /api/series"))) await page.waitForTimeout(20);
  for (let i = 0; i < 5; i++) await send(platform, now + i * 1000);
  openGate();
  await untilPoint(page, CPU, FIELD, now - 60_000);
  await send(platform, now + 5000);
  await untilPoint(page, CPU, FIELD, now + 5000);
  assertUnbroken(pointsOf(await chart(page, CPU), FIELD), now - 120_000, now + 5000);
  assert.deepEqual(site.visit.complaints, []);
});

test("a reconnect brings what was missed: no gap, no double, also for readings that are older than the cut", async () => {
  const { now, prepare } = withPump(120);
  await using site = await open({
    at: THING,
    prepare: async (platform) => {
      await prepare(platform);
      // An outage of the device itself, that it will fill later.
      await platform.addThing("other");
    },
  });
  const { page, platform } = site;
  await untilPoint(page, CPU, FIELD, now - 1000);
  await send(platform, now);
  await untilPoint(page, CPU, FIELD, now);
  await platform.cutLive();
  // Committed while nobody listens: newer readings, and some from before the history began.
  for (let i = 1; i <= 10; i++) await send(platform, now + i * 1000);
  await fill(platform, now - 150_000, now - 120_000);
  await live(page);
  await untilPoint(page, CPU, FIELD, now + 10_000);
  await send(platform, now + 11_000);
  await untilPoint(page, CPU, FIELD, now + 11_000);
  assertUnbroken(pointsOf(await chart(page, CPU), FIELD), now - 150_000, now + 11_000);
});

test("many cuts at bad moments, readings all the while: the line is whole", async () => {
  const { now, prepare } = withPump(60);
  await using site = await open({ at: THING, prepare });
  const { page, platform } = site;
  await untilPoint(page, CPU, FIELD, now - 1000);
  let next = now;
  for (let cut = 0; cut < 6; cut++) {
    for (let i = 0; i < 5; i++) {
      await send(platform, next);
      next += 1000;
      if (i === cut % 5) await platform.cutLive();
    }
    await page.evaluate("dispatchEvent(new Event('online'))");
    await live(page);
  }
  await send(platform, next);
  await untilPoint(page, CPU, FIELD, next);
  // The last reconnect may still be loading what was missed.
  const wanted = (next - now) / 1000 + 61;
  await until(page, `${shown(CPU)}.lines["${FIELD}"].filter((value) => value != null).length >= ${wanted}`);
  assertUnbroken(pointsOf(await chart(page, CPU), FIELD), now - 60_000, next);
});

test("a connection that is dead but not closed is noticed, and the page comes back by itself", async () => {
  const { now, prepare } = withPump(60);
  await using site = await open({ at: THING, prepare });
  const { page, platform } = site;
  await untilPoint(page, CPU, FIELD, now - 1000);
  platform.muteLive();
  await send(platform, now);
  await page.locator("[data-banner='connection']").waitFor({ timeout: 40_000 });
  await untilPoint(page, CPU, FIELD, now);
});

test("windows: averages as the server has them, the newest grows live, late readings are put right", async () => {
  const { now, prepare } = withPump(3600);
  await using site = await open({ at: `${THING}?range=1h`, prepare });
  const { page, platform } = site;
  await until(page, `__tidewire.feed()?.window > 0 && ${shown(CPU)} !== undefined`);
  await until(page, `${shown(CPU)}.times.length > 200`);
  const window = await page.evaluate<number>("__tidewire.feed().window");
  const expected = (start: number): number => {
    let sum = 0;
    for (let time = start; time < start + window; time += 1000) sum += valueAt(time);
    return sum / (window / 1000);
  };
  const points = pointsOf(await chart(page, CPU), FIELD);
  const start = Math.floor((now - 600_000) / window) * window;
  const found = points.find(([time]) => time === start + window / 2);
  assert.ok(Math.abs(found![1] - expected(start)) < 1e-9, "a closed window");
  assert.ok(points.length < 720, `${points.length} points`);

  // A late reading, far outside the others, changes its window, which only the server can compute.
  await platform.publish("pump", "system", { [FIELD]: 10_000 }, start + 500);
  await until(
    page,
    `(() => { const c = ${shown(CPU)}; return c.lines["${FIELD}"][c.times.indexOf(${start + window / 2})] > 500; })()`,
  );
});

test("a silence of the device is drawn as a gap in every line", async () => {
  const now = Math.floor(Date.now() / 1000) * 1000;
  await using site = await open({
    at: THING,
    prepare: async (platform) => {
      await platform.addThing("pump");
      await fill(platform, now - 200_000, now - 120_000);
      await fill(platform, now - 60_000, now);
    },
  });
  const { page } = site;
  await untilPoint(page, CPU, FIELD, now - 1000);
  const { times, lines } = await chart(page, CPU);
  const row = times.indexOf(now - 121_000) + 1;
  assert.equal(times[row], now - 120_999);
  assert.equal(lines[FIELD]![row], null);
  assert.match(
    (await page.locator("[data-chart='system/cpu'] .sr-only").first().textContent())!,
    /140 points, 1 gap\./,
  );
});

test("the time axis follows the server's clock, not the viewer's", async () => {
  const ahead = 3_600_000;
  const start = Math.floor((Date.now() + ahead) / 1000) * 1000;
  await using site = await open({
    at: THING,
    now: () => Date.now() + ahead,
    prepare: async (platform) => {
      await platform.addThing("pump");
      await platform.connect("pump");
      await fill(platform, start - 60_000, start);
    },
  });
  const { page } = site;
  await untilPoint(page, CPU, FIELD, start - 1000);
  const difference = await page.evaluate<number>("__tidewire.clockDifference()");
  assert.ok(Math.abs(difference - ahead) < 1000, `${difference} ms`);
  await until(page, `Math.abs(${shown(CPU)}.span.to - (Date.now() + ${ahead})) < 4000`);
  await page.getByText("s ago").first().waitFor();
});

test("zoom by drag, by button and by key; Escape and double click lead back to live", async () => {
  const { now, prepare } = withPump(300);
  await using site = await open({ at: THING, prepare });
  const { page } = site;
  await untilPoint(page, CPU, FIELD, now - 1000);
  const box = (await page.locator(`[data-chart='${CPU}'] .u-over`).boundingBox())!;
  await page.mouse.move(box.x + box.width * 0.25, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 8 });
  await page.mouse.up();
  await page.getByRole("button", { name: "Go live" }).waitFor();
  await until(page, `(({ from, to }) => to - from > 60000 && to - from < 90000)(${shown(MEMORY)}.span)`);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Live", exact: true }).waitFor();
  await page.getByRole("button", { name: "Zoom in" }).click();
  await page.getByRole("button", { name: "Go live" }).waitFor();
  await page.mouse.dblclick(box.x + 100, box.y + 50);
  await page.getByRole("button", { name: "Live", exact: true }).waitFor();
  await page.keyboard.press("f");
  await page.getByRole("button", { name: "Go live" }).waitFor();
  await page.keyboard.press("3");
  await until(page, "__tidewire.feed().window > 0");
  await page.waitForURL(/range=1h$/); // written after the next paint
  await page.reload();
  await page.locator("button[aria-pressed=true]", { hasText: "1 h" }).waitFor();
  assert.deepEqual(site.visit.complaints, []);
});

test("a chart is read by keyboard, point by point, and has a table twin", async () => {
  const { now, prepare } = withPump(60);
  await using site = await open({ at: THING, prepare });
  const { page } = site;
  await untilPoint(page, CPU, FIELD, now - 1000);
  const body = page.getByRole("group", { name: "CPU chart" });
  await body.focus();
  await page.keyboard.press("End");
  await page.keyboard.press("ArrowLeft");
  const spoken = page.locator(`[data-chart='${CPU}'] [aria-live=polite]`);
  await until(page, `document.querySelector("[data-chart='${CPU}'] [aria-live=polite]").textContent !== ""`);
  assert.match((await spoken.textContent())!, /^\d\d:\d\d:\d\d: Total \d+\.0%$/);
  await page.keyboard.press("t");
  const table = page.getByRole("region", { name: "CPU, table" });
  await table.waitFor();
  await until(page, `document.querySelectorAll("[data-chart='${CPU}'] tbody tr").length >= 50`);
  assert.equal(await table.locator("tbody tr").first().locator("td").textContent(), `${valueAt(now - 1000)}.0%`);
  await page.getByRole("heading", { level: 1 }).click();
  await page.keyboard.press("t");
  await page.getByRole("region", { name: "Memory, table" }).waitFor();
});

test("fields that appear later get their chart without disturbing the others; strings become a table", async () => {
  const { now, prepare } = withPump(60);
  await using site = await open({ at: THING, prepare });
  const { page, platform } = site;
  await untilPoint(page, CPU, FIELD, now - 1000);
  await platform.publish("pump", "plant", { "tank.fillPercent": 40, running: true, mode: "night" }, now);
  await page.getByRole("heading", { name: "Plant: Tank fill" }).waitFor();
  await page.getByRole("heading", { name: "Plant: Running" }).waitFor();
  await page.getByRole("cell", { name: "night" }).waitFor();
  await untilPoint(page, "plant/running", "running", now);
  assertUnbroken(pointsOf(await chart(page, CPU), FIELD), now - 60_000, now - 1000);
});

test("a thing without readings says where to publish; one that does not exist says so", async () => {
  await using site = await open({
    at: "/things/quiet",
    prepare: async (platform) => {
      await platform.addThing("quiet");
    },
  });
  const { page, platform } = site;
  await page.getByText("telemetry/quiet/…").waitFor();
  await platform.publish("quiet", "system", { [FIELD]: 3 });
  await page.getByRole("heading", { name: "CPU" }).waitFor();
  await page.evaluate("location.hash = '/things/nobody'");
  await page.getByText("There is no thing named “nobody”.").waitFor();
});
