import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { browserTests, live } from "./site.ts";

const open = browserTests();

const row = (page: Page, thing: string) => page.locator(`tr[data-thing='${thing}']`);
const stat = (page: Page, name: string, value: string) => page.locator(`[data-stat='${name}'] dd`, { hasText: value });

test("an empty fleet says how to add the first device", async () => {
  await using site = await open({ browser: { permissions: ["clipboard-read", "clipboard-write"] } });
  const { page } = site;
  await page.getByRole("heading", { name: "Add your first device" }).waitFor();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied").waitFor();
  assert.equal(
    await page.evaluate("navigator.clipboard.readText()"),
    "npx tidewire things add my-device --out my-device",
  );
});

test("presence, values and totals follow without a reload; a new device appears by itself", async () => {
  await using site = await open({
    prepare: async (platform) => {
      await platform.addThing("pump");
      await platform.addThing("valve");
      await platform.connect("pump");
    },
  });
  const { page, platform } = site;
  await row(page, "pump").getByText("Online").waitFor();
  await row(page, "valve").getByText("Never connected").waitFor();
  await stat(page, "Online", "1").waitFor();
  await page.getByText("1 thing is not online.").waitFor();

  await platform.connect("valve");
  await row(page, "valve").getByText("Online").waitFor();
  await page.getByText("Everything is online, no active alerts.").waitFor();

  await platform.disconnect("pump");
  await row(page, "pump").getByText("Offline").waitFor();
  await stat(page, "Not online", "1").waitFor();

  await platform.publish("valve", "system", { "cpu.percent": 41.5 });
  await platform.addThing("boiler");
  await platform.connect("boiler");
  await row(page, "boiler").getByText("Online").waitFor();
  await row(page, "valve").getByText("41.5").waitFor();
  await platform.publish("valve", "system", { "cpu.percent": 87.25 });
  await row(page, "valve").getByText("87.3").waitFor();
  assert.deepEqual(site.visit.complaints, []);
});

test("the age of the last sign of life ticks", async () => {
  await using site = await open({
    prepare: async (platform) => {
      await platform.addThing("pump");
      await platform.connect("pump");
    },
  });
  await row(site.page, "pump").getByText("3\u00a0s ago").waitFor();
  await row(site.page, "pump").getByText("4\u00a0s ago").waitFor();
});

test("while the connection is lost nothing is shown as live, and afterwards what was missed is there", async () => {
  await using site = await open({
    prepare: async (platform) => {
      await platform.addThing("pump");
      await platform.connect("pump");
      await platform.publish("pump", "system", { "cpu.percent": 10 });
    },
  });
  const { page, platform } = site;
  await row(page, "pump").getByText("Online").waitFor();
  await platform.setReachable(false);
  await page.getByText("Live connection lost").waitFor();
  await page.getByText(/trying again in/).waitFor();
  await row(page, "pump").getByText("Was online").waitFor();
  assert.equal(await row(page, "pump").locator(".value.is-stale").count(), 1);
  await platform.disconnect("pump");
  await platform.setReachable(true);
  await page.getByRole("button", { name: "Try now" }).click();
  await live(page);
  await row(page, "pump").getByText("Offline").waitFor();
  assert.equal(await page.locator("[data-banner='connection']").count(), 0);
});

test("10,000 things: pages, search on the server, and the page stays small and quick", async () => {
  await using site = await open({
    prepare: async (platform) => {
      for (let i = 0; i < 10_000; i++) await platform.addThing(`meter-${String(i).padStart(5, "0")}`);
      for (let i = 0; i < 10_000; i += 2) await platform.connect(`meter-${String(i).padStart(5, "0")}`);
    },
  });
  const { page, platform } = site;
  await stat(page, "Things", "10,000").waitFor();
  await stat(page, "Online", "5,000").waitFor();
  assert.equal(await page.locator("tbody tr").count(), 100);
  await page.getByText("1–100 of 10,000").waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("101–200 of 10,000").waitFor();
  await row(page, "meter-00100").waitFor();
  await page.getByRole("button", { name: "Previous" }).click();
  await row(page, "meter-00000").waitFor();

  await page.keyboard.press("/");
  await page.keyboard.type("meter-0999");
  await row(page, "meter-09999").waitFor(); // of what was typed by then, the last of a hundred
  await page.locator("tbody tr").nth(10).waitFor({ state: "detached" });
  assert.equal(await page.locator("tbody tr").count(), 10);
  await page.waitForURL(`${platform.url}#/?search=meter-0999`);
  await stat(page, "Things", "10,000").waitFor();

  // A storm of presence of things that are not on the page: the page answers within a frame or two.
  for (let i = 0; i < 5000; i++) await platform.disconnect(`meter-${String(i).padStart(5, "0")}`);
  await stat(page, "Online", "2,500").waitFor();
  await page.getByRole("searchbox").fill("no such thing");
  await page.getByText("No thing matches “no such thing”").waitFor();
  await page.getByRole("button", { name: "Clear the search" }).click();
  await row(page, "meter-00000").waitFor();
  assert.deepEqual(site.visit.complaints, []);
});

test("a link to another search, and the way back, are followed by the page that is there; the next device is one command away", async () => {
  await using site = await open({
    prepare: (platform) => platform.addThing("pump").then(() => platform.addThing("valve")),
  });
  const { page } = site;
  await row(page, "valve").waitFor();
  await page.evaluate("location.hash = '/?search=pum'");
  await row(page, "valve").waitFor({ state: "detached" });
  await row(page, "pump").waitFor();
  assert.equal(await page.getByRole("searchbox").inputValue(), "pum");
  await page.goBack();
  await row(page, "valve").waitFor();
  assert.equal(await page.getByRole("searchbox").inputValue(), "");
  assert.equal(await page.getByText("Add the next one").count(), 0, "whoever has two knows how");
});

test("the keyboard alone: search, down the list, into a thing, back", async () => {
  await using site = await open({
    prepare: async (platform) => {
      for (const thing of ["a-pump", "b-pump", "c-pump"]) await platform.addThing(thing);
    },
  });
  const { page } = site;
  await row(page, "a-pump").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.textContent.trim()"), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate("document.activeElement.id"), "main");
  await page.locator("a.thing-link").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "c-pump" }).waitFor();
  assert.equal(await page.title(), "c-pump · Tidewire");
  await page.keyboard.press("g");
  await page.keyboard.press("a");
  await page.getByRole("heading", { name: "Alerts" }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await page.getByLabel("Single-key shortcuts").uncheck();
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("f");
  assert.equal(await page.title(), "Alerts · Tidewire", "switched off means off");
});
