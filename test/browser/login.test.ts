import assert from "node:assert/strict";
import { test } from "node:test";
import { browserTests, live, until } from "./site.ts";

const open = browserTests();

test("a wrong token is refused with what to do; the right one, pasted with a line's end, leads to the fleet", async () => {
  await using site = await open({ at: null });
  const { page, platform } = site;
  await page.goto(platform.url);
  await page.getByLabel("Administrator token").fill("wrong");
  await page.keyboard.press("Enter");
  const alert = page.locator("#token-error");
  await alert.getByText("The request carries no valid token.").waitFor();
  assert.match((await alert.textContent())!, /secrets\/admin-token/);
  assert.equal(await page.locator("#token").getAttribute("aria-invalid"), "true");
  await page.getByLabel("Administrator token").fill(`  ${platform.token}\n`);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Fleet" }).waitFor();
  await live(page);
  assert.equal(await page.title(), "Fleet · Tidewire");
  assert.deepEqual(site.visit.complaints, []);
});

test("an empty form is not sent, and password managers find their fields", async () => {
  await using site = await open({ at: null });
  const { page, platform } = site;
  await page.goto(platform.url);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("The token is missing.").waitFor();
  assert.equal(platform.requests.filter((request) => request.startsWith("POST")).length, 0);
  assert.equal(await page.locator("#token").getAttribute("autocomplete"), "current-password");
  assert.equal(await page.locator("[autocomplete=username]").inputValue(), "administrator");
  await page.getByRole("button", { name: "Show the token" }).click();
  assert.equal(await page.locator("#token").getAttribute("type"), "text");
});

test("the printed link logs in once; its code leaves the address and the history at once", async () => {
  await using site = await open({ at: null });
  const { page, platform } = site;
  const link = await platform.loginLink();
  await page.goto(link);
  await page.getByRole("heading", { name: "Fleet" }).waitFor();
  assert.equal(page.url(), `${platform.url}#/`);
  assert.equal(await page.evaluate("history.length"), 2, "about:blank and this page");
  await site.visit.context.clearCookies();
  await page.goto("about:blank");
  await page.goto(link);
  await page.getByText("The login link was used already or is too old.").waitFor();
  assert.equal(page.url(), `${platform.url}#/`);
});

test("whoever is logged in already may open an old link", async () => {
  await using site = await open();
  const { page, platform } = site;
  await page.goto("about:blank");
  await page.goto(`${platform.url}#code=used-long-ago`);
  await page.getByRole("heading", { name: "Fleet" }).waitFor();
});

test("when the session ends one logs in again and is where one was", async () => {
  await using site = await open({
    at: "/things/pump?range=15m",
    prepare: async (platform) => {
      await platform.addThing("pump");
      await platform.publish("pump", "system", { "cpu.percent": 5 });
    },
  });
  const { page, platform } = site;
  await page.getByRole("heading", { name: "pump" }).waitFor();
  await platform.expireSessions();
  await page.getByText("Your session has ended.").waitFor();
  await page.getByLabel("Administrator token").fill(platform.token);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "pump" }).waitFor();
  await page.waitForURL(`${platform.url}#/things/pump?range=15m`);
  await live(page);
});

test("logging out ends the live connection and survives a reload", async () => {
  await using site = await open();
  const { page, platform } = site;
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByText("You are logged out.").waitFor();
  await until(page, "__tidewire.connection() === 'stopped'");
  await page.reload();
  await page.getByLabel("Administrator token").waitFor();
  assert.equal(platform.liveConnections, 0);
});
