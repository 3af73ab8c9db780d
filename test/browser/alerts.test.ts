import assert from "node:assert/strict";
import { test } from "node:test";
import { browserTests, live, until } from "./site.ts";

const open = browserTests();

test("an alert appears live, is acknowledged, ends, and stays in the history", async () => {
  await using site = await open({
    at: "/alerts",
    prepare: async (platform) => {
      await platform.addThing("pump");
    },
  });
  const { page, platform } = site;
  await page.getByRole("heading", { name: "Nothing is wrong" }).waitFor();
  const id = await platform.raiseAlert({ thing: "pump", severity: "critical", summary: "CPU at 97 %, above 90 %." });
  const alert = page.locator(`[data-alert='${id}']`);
  await alert.getByText("Critical").waitFor();
  assert.equal(await page.title(), "(1) Alerts · Tidewire");
  assert.equal((await page.locator(".badge").textContent())!.trim(), "1 1 active alert");
  await alert.getByRole("button", { name: /^Acknowledge/ }).click();
  await alert.getByText("Acknowledged").waitFor();
  await alert.getByRole("link", { name: "pump" }).click();
  await page.getByRole("heading", { name: "pump" }).waitFor();
  await page.locator(`[data-alert='${id}']`).getByText("CPU at 97 %").waitFor();
  await platform.resolveAlert(id);
  await page.locator(`[data-alert='${id}']`).waitFor({ state: "detached" });
  await page.getByRole("link", { name: "Alerts" }).click();
  await page.getByRole("link", { name: "History" }).click();
  await alert.getByText(/resolved after/).waitFor();
  assert.equal(await page.title(), "Alerts · Tidewire");
  assert.deepEqual(site.visit.complaints, []);
});

test("an alert that ended while the connection was down is not shown as active", async () => {
  await using site = await open({ at: "/alerts" });
  const { page, platform } = site;
  const id = await platform.raiseAlert({ thing: "pump", severity: "warning", summary: "Disk at 91 %, above 90 %." });
  await page.locator(`[data-alert='${id}']`).waitFor();
  await platform.setReachable(false);
  await page.getByText("Live connection lost").waitFor();
  await platform.resolveAlert(id);
  await platform.setReachable(true);
  await live(page);
  await page.getByRole("heading", { name: "Nothing is wrong" }).waitFor();
});

test("an acknowledgement that does not reach the platform says so and can be repeated", async () => {
  await using site = await open({ at: "/alerts" });
  const { page, platform } = site;
  const id = await platform.raiseAlert({ thing: "pump", severity: "info", summary: "Firmware is old." });
  const alert = page.locator(`[data-alert='${id}']`);
  await alert.waitFor();
  await platform.setReachable(false);
  await alert.getByRole("button", { name: /^Acknowledge/ }).click();
  await alert.getByText("The platform does not answer.").waitFor();
  await platform.setReachable(true);
  await live(page);
  await alert.getByRole("button", { name: /^Acknowledge/ }).click();
  await alert.getByText("Acknowledged").waitFor();
});

const PICTURE =
  '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="360"><rect width="640" height="360" fill="#ffffff"/></svg>';

test("the story of one alert: what happened, its chart, who is told, its runbook; it follows what is done", async () => {
  const at = Date.UTC(2026, 10, 22, 12, 0);
  let id = "";
  await using site = await open({
    prepare: async (platform) => {
      await platform.addThing("pump");
      platform.picture = PICTURE;
      const muted = { by: "silence", reason: "silence 12ab by ann" };
      platform.groups = [
        { group: "0:", contacts: ["ops"], muted: null, escalation: [] },
        { group: "0.1:", contacts: ["lead"], muted, escalation: [] },
      ];
      id = await platform.raiseAlert({ thing: "pump", severity: "critical", summary: "CPU at 97 %, above 90 %." }, at);
      const runbook = "https://wiki.example/cpu?a=1";
      platform.labelAlert(id, { value: "97 %", threshold: "90 %", labels: { runbook, site: "ulm" } });
      platform.tellStory(id, { at, type: "raised", by: null, note: null });
      platform.tellStory(id, { at: at + 1000, type: "notified", by: null, note: "ops (telegram)" });
      platform.tellStory(id, { at: at + 2000, type: "muted", by: null, note: "alert gateway.1 is the cause" });
    },
  });
  const { page, platform } = site;
  await page.getByRole("link", { name: "Alerts" }).click();
  await page.locator(`[data-alert='${id}']`).getByRole("link", { name: "Story" }).click();
  await page.getByRole("heading", { name: "CPU at 97 %" }).waitFor();
  const story = page.locator(`[data-story='${id}']`);
  await story.getByText("97 % (threshold 90 %)").waitFor();
  await story.getByText("Told", { exact: true }).waitFor();
  await story.getByText("ops (telegram)").waitFor();
  await story.getByText("alert gateway.1 is the cause").waitFor();
  await story.getByText("not now: silence 12ab by ann").waitFor();
  const runbook = story.getByRole("link", { name: "https://wiki.example/cpu" });
  assert.equal(await runbook.getAttribute("href"), "https://wiki.example/cpu?a=1");
  const image = story.getByRole("img", { name: /What was measured/ });
  await image.waitFor();
  const decoded = "(async (image) => { await image.decode(); return image.naturalWidth; })";
  assert.equal(await page.evaluate(`${decoded}(document.querySelector(".story-chart img"))`), 640);
  await story.getByRole("button", { name: /^Acknowledge/ }).click();
  await story.locator(".alert-acknowledged").getByText("by ann").waitFor();
  await story.locator(".story-line .is-acknowledged").waitFor();
  platform.tellStory(id, { at: at + 5000, type: "resolved", by: null, note: null });
  await platform.resolveAlert(id, at + 720_000);
  await story.locator(".story-line .is-resolved").waitFor();
  await story.getByText(/resolved after 12/).waitFor();
  assert.equal(await story.getByRole("button").count(), 0);
  const shot = process.env["STORY_SCREENSHOT"];
  if (shot !== undefined) await page.screenshot({ path: shot, fullPage: true });
  await story.getByRole("link", { name: "All charts of pump at that time" }).click();
  await page.getByRole("heading", { name: "pump" }).waitFor();
  await page.waitForURL(new RegExp(`#/things/pump\\?.*from=${at - 7_200_000}&to=${at + 720_000 + 900_000}$`));
  assert.deepEqual(site.visit.complaints, []);
});

test("a link to an alert of long ago says kindly that it is gone; one without a picture has none", async () => {
  await using site = await open({ at: "/alerts?alert=cpu_high.pump.7" });
  const { page, platform } = site;
  await page.getByRole("heading", { name: "This alert is over and gone" }).waitFor();
  const id = await platform.raiseAlert({ thing: "pump", severity: "info", summary: "Firmware is old." });
  await page.evaluate(`location.hash = ${JSON.stringify(`/alerts?alert=${id}`)}`);
  await page.getByRole("heading", { name: "Firmware is old." }).waitFor();
  await page.locator(".story-chart img").waitFor({ state: "detached" });
});

test("a link to a thing shows the stretch of time that it names, until somebody goes back to live", async () => {
  const from = Date.now() - 7_200_000;
  await using site = await open({
    prepare: async (platform) => {
      await platform.addThing("pump");
      await platform.publish("pump", "system", { "cpu.percent": 12 }, from + 1000);
    },
  });
  const { page } = site;
  await page.evaluate(`location.hash = ${JSON.stringify(`/things/pump?from=${from}&to=${from + 600_000}`)}`);
  await page.locator(".range-fixed").waitFor();
  await page.waitForURL(new RegExp(`from=${from}&to=${from + 600_000}$`));
  const isAsked = (one: string): boolean => one.includes("/api/series") && one.includes(`from=${from - 12_000}`);
  const asked = async (): Promise<void> => {
    while (!site.platform.requests.some(isAsked)) await page.waitForTimeout(20);
  };
  await Promise.race([asked(), page.waitForTimeout(15_000)]);
  assert.ok(site.platform.requests.some(isAsked), site.platform.requests.join("\n"));
  const shown = await page.locator(".range-fixed").textContent();
  await page.evaluate(
    `location.hash = ${JSON.stringify(`/things/pump?from=${from + 3_600_000}&to=${from + 4_200_000}`)}`,
  );
  await page.locator(".range-fixed").filter({ hasNotText: shown! }).waitFor();
  // Moved away by hand: the same link leads there again, and the address always says what is shown.
  await page.locator(".uplot").first().waitFor();
  const link = `/things/pump?from=${from + 3_600_000}&to=${from + 4_200_000}`;
  await page.getByRole("button", { name: "Earlier" }).click();
  await page.waitForURL((url) => url.hash.includes(`from=${from + 3_300_000}&to=${from + 3_900_000}`));
  await page.evaluate(`location.hash = ${JSON.stringify(link)}`);
  await until(page, `__tidewire.charts()[0]?.span.from === ${from + 3_600_000}`);
  await page.getByRole("button", { name: "Go live" }).click();
  await page.locator(".range-fixed").waitFor({ state: "detached" });
  await page.waitForURL((url) => !url.hash.includes("from=")); // written after the next paint
});

test("a part of the platform that is not well is named on every page", async () => {
  await using site = await open({
    prepare: (platform) => {
      platform.health = "degraded";
      return Promise.resolve();
    },
  });
  await site.page.getByText("1 part of the platform is not well").waitFor();
  await site.page.getByText("store: restarting, 1,204 records behind").waitFor();
});
