import assert from "node:assert/strict";
import { test } from "node:test";
import { browserTests, live } from "./site.ts";

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
