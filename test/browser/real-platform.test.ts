/** The dashboard against the real platform: real processes, a real agent of this machine, readings once a second. */
import assert from "node:assert/strict";
import { hostname } from "node:os";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { thingNameOf } from "../../src/cloud/first-device.ts";
import { PlatformProcess, temporaryFolder } from "../scenarios/support/platform-process.ts";
import { launchChromium } from "./browser.ts";
import type { Chromium, Visit } from "./browser.ts";
import { enterDashboard, loginLink } from "./enter-dashboard.ts";
import { buildDashboard, chart, live, pointsOf, until } from "./site.ts";

const THING = thingNameOf(hostname());
const CPU = "system/cpu";
const FIELD = "cpu.percent";
const PATIENCE_MS = 60_000;
const SHOWN = `__tidewire.charts().find((c) => c.id === "${CPU}")`;
const POINTS = `${SHOWN}?.lines["${FIELD}"]?.filter((value) => value != null).length ?? 0`;

/** Milliseconds between two readings of the chart. */
const LONGEST_STEP = `Math.max(...${SHOWN}.times.slice(1).map((time, i) => time - ${SHOWN}.times[i]))`;

const folder = temporaryFolder();
let platform: PlatformProcess;
let chromium: Chromium;

before(async () => {
  await buildDashboard();
  chromium = await launchChromium();
  platform = await PlatformProcess.start(folder.path, ["--first-device"]);
});

after(async () => {
  await chromium?.close();
  await platform?.stop();
  folder.remove();
});

/** A fresh browser, closed at the end of the test, at which nothing may have been amiss. */
async function visiting(run: (page: Page, visit: Visit) => Promise<void>): Promise<void> {
  const visit = await chromium.open();
  visit.page.setDefaultTimeout(PATIENCE_MS);
  try {
    await run(visit.page, visit);
    assert.deepEqual(visit.complaints, []);
  } finally {
    await visit.close();
  }
}

async function cpuPoints(page: Page): Promise<[time: number, value: number][]> {
  return pointsOf(await chart(page, CPU), FIELD);
}

/** What the store holds, asked past the dashboard: the same points, none missing, none twice. */
async function assertSameAsStore(page: Page): Promise<void> {
  const drawn = await cpuPoints(page);
  const [from, to] = [drawn[0]![0], drawn.at(-1)![0]];
  const query = `thing=${THING}&measurement=system&fields=${FIELD}&from=${from}&to=${to + 1}`;
  const { series } = await platform.api<{ series: { times: number[]; values: number[] }[] }>(
    "GET",
    `/api/series?${query}`,
  );
  const stored = series[0]!.times.map((time, i) => [time, series[0]!.values[i]!]);
  assert.deepEqual(drawn, stored);
}

test("by the link: this machine is online in the fleet, its page's chart moves and holds what the store holds", async () => {
  await visiting(async (page) => {
    await page.goto(await loginLink(folder.path));
    const row = page.locator(`[data-thing="${THING}"]`);
    await row.getByText("Online").first().waitFor();
    assert.ok(!page.url().includes("code="), "the code is out of the address at once");
    await live(page);
    await row.getByRole("link", { name: THING }).first().click();
    await page.getByRole("heading", { name: THING, level: 1 }).waitFor();
    await until(page, `(${POINTS}) >= 3`, PATIENCE_MS);
    const before = await cpuPoints(page);
    await until(page, `(${POINTS}) >= ${before.length + 3}`, PATIENCE_MS);
    await assertSameAsStore(page);
    for (const [, value] of await cpuPoints(page)) assert.ok(value >= 0 && value <= 100, String(value));
  });
});

test("the platform is killed and comes back on the same ports: the page recovers by itself, no hole, no double", async () => {
  await visiting(async (page) => {
    await enterDashboard(page, platform);
    await page.evaluate(`location.hash = "/things/${THING}"`);
    await until(page, `(${POINTS}) >= 3`, PATIENCE_MS);
    const ports = platform.samePorts();
    const killedAt = (await cpuPoints(page)).at(-1)![0];
    await platform.kill();
    await page.locator("[data-banner='connection']").waitFor();
    platform = await PlatformProcess.start(folder.path, ["--first-device", ...ports]);
    await live(page);
    // The agent recorded on while there was no platform; then new readings follow.
    await until(page, `(${SHOWN}?.times.at(-1) ?? 0) > ${killedAt + 5000}`, PATIENCE_MS);
    // New readings come live at once, what was missed with the history that is fetched beside them.
    await until(page, `(${LONGEST_STEP}) < 2500`, PATIENCE_MS);
    const times = (await cpuPoints(page)).map(([time]) => time);
    for (const [i, time] of times.entries()) assert.ok(i === 0 || time > times[i - 1]!, `${time} is there twice`);
    await assertSameAsStore(page);
    await page.locator("[data-banner='connection']").waitFor({ state: "detached" });
  });
});

test("a thing's shadow: desired beside reported, edited here, and followed as the device reports", async () => {
  const update = (state: object): Promise<unknown> => platform.api("POST", "/things/valve/shadow", { state });
  await platform.api("POST", "/things/valve", {});
  await visiting(async (page) => {
    await enterDashboard(page, platform);
    await page.evaluate(`location.hash = "/things/valve"`);
    const card = page.getByRole("article", { name: "Classic shadow" });
    await card.getByText("There is none yet.").waitFor();
    await update({ desired: { open: true, flow: { limit: 3 } }, reported: { open: false } });
    await card.getByText("2 values not reported as desired").waitFor();
    await card.getByRole("row", { name: "open true false differs" }).waitFor();
    await card.getByRole("button", { name: "Edit desired" }).click();
    const editor = card.getByRole("textbox");
    await editor.fill("{open: false}");
    await card.getByRole("button", { name: "Save" }).click();
    await card.getByRole("alert").waitFor();
    await editor.fill('{"open": false}');
    await card.getByRole("button", { name: "Save" }).click();
    await card.getByText("as desired", { exact: true }).waitFor();
    const { state } = await platform.api<{ state: object }>("GET", "/things/valve/shadow");
    assert.deepEqual(state, { desired: { open: false }, reported: { open: false } });
    // Somebody else was faster: nothing of theirs is overwritten.
    await card.getByRole("button", { name: "Edit desired" }).click();
    await update({ desired: { open: true } });
    await editor.fill('{"open": false, "flow": {}}');
    const conflict = page.waitForResponse((response) => response.status() === 409);
    await card.getByRole("button", { name: "Save" }).click();
    await conflict;
    await card.getByText("has changed since you opened it").waitFor();
  });
});

test("by the token; a wrong one is answered in one sentence, and a link that was used says so", async () => {
  const link = await loginLink(folder.path);
  await visiting(async (page) => {
    await page.goto(link);
    await page.getByRole("heading", { name: "Fleet" }).waitFor();
  });
  await visiting(async (page) => {
    await page.goto(link);
    await page.getByText("The login link was used already or is too old.").waitFor();
    await page.goto(platform.ready.http);
    await page.getByLabel("Administrator token").fill("tw_wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("The request carries no valid token.").waitFor();
    await page.getByLabel("Administrator token").fill(platform.ready.adminToken);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Fleet" }).waitFor();
    await live(page);
  });
});
