/** What the dashboard shows when not all is well, against the real platform, which is stopped and started again. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import type { SessionList } from "../../src/cloud/api/contract.ts";
import { PlatformProcess, temporaryFolder } from "../scenarios/support/platform-process.ts";
import { AUDIT, OVERFLOW } from "./audit.ts";
import { launchChromium } from "./browser.ts";
import type { Chromium } from "./browser.ts";
import { addUser } from "./enter-dashboard.ts";
import { buildDashboard, live } from "./site.ts";
import { goTo, picture, visitDashboard } from "./visit-dashboard.ts";
import type { Visiting } from "./visit-dashboard.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;
let chromium: Chromium;

before(async () => {
  await buildDashboard();
  chromium = await launchChromium();
  platform = await PlatformProcess.start(folder.path);
  // Those that a new platform has of its own.
  const { rules } = await platform.api<{ rules: { ruleName: string }[] }>("GET", "/rules");
  for (const { ruleName } of rules) await platform.api("DELETE", `/rules/${ruleName}`);
});

after(async () => {
  await chromium?.close();
  await platform?.stop();
  folder.remove();
});

const visiting = (where: Visiting, run: (page: Page) => Promise<void>): Promise<void> =>
  visitDashboard({ chromium, platform }, where, run);

test("an empty platform: each page says what to do next, and fits on a telephone", async () => {
  for (const width of [1440, 390]) {
    await visiting({ at: "/", browser: { viewport: { width, height: 844 } } }, async (page) => {
      for (const [at, says] of [
        ["/", "Add your first device"],
        ["/alerts", "Nothing is wrong"],
        ["/alerts?tab=history", "No alert has ended yet"],
        ["/rules", "There is no rule"],
        ["/dead-letters", "Nothing was given up"],
        ["/retired", "No thing was retired"],
      ] as const) {
        await goTo(page, at);
        await page.getByRole("heading", { name: says }).waitFor();
        await picture(page, `empty-${at.replaceAll(/\W/g, "")}-${width}`);
        assert.deepEqual(await page.evaluate(OVERFLOW), [], at);
        assert.deepEqual(await page.evaluate(AUDIT), [], at);
      }
      await goTo(page, "/rules");
      await page.getByRole("link", { name: "Write the first one" }).click();
      await page.getByRole("heading", { name: "New rule" }).waitFor();
      await goTo(page, "/people");
      await page.getByText("Nobody yet").waitFor();
      await picture(page, `empty-people-${width}`);
    });
  }
});

test("the platform is stopped: every page says so, and is whole again by itself when it is back", async () => {
  await platform.api("POST", "/things/valve", {});
  const ports = platform.samePorts();
  await visiting({ at: "/" }, async (page) => {
    await page.locator("[data-thing='valve']").waitFor();
    await platform.stop();
    const banner = page.locator("[data-banner='connection']");
    await banner.getByText("The platform does not answer").waitFor();
    await page.locator("[data-thing='valve']").waitFor();
    await picture(page, "stopped-fleet");
    // Opened while nobody answers: nothing of it was ever there.
    for (const [at, name] of [
      ["/rules", "Rules"],
      ["/people", "People"],
      ["/things/valve", "valve"],
      ["/retired", "Retired things"],
    ] as const) {
      await goTo(page, at);
      await page.getByRole("heading", { name, level: 1 }).waitFor();
      await page.locator("main").getByText("The platform does not answer.").first().waitFor();
      await picture(page, `stopped-${name.split(" ")[0]!.toLowerCase()}`);
    }
    platform = await PlatformProcess.start(folder.path, ports);
    await live(page);
    await banner.waitFor({ state: "detached" });
    await page.getByRole("heading", { name: "No thing was retired" }).waitFor();
    assert.equal(await page.getByText("The platform does not answer.").count(), 0);
  });
  await visiting({ at: "/people" }, async (page) => {
    await page.getByText("Nobody yet").waitFor();
    await platform.stop();
    await goTo(page, "/account");
    await page.getByText("The platform does not answer.").first().waitFor();
    await goTo(page, "/people");
    platform = await PlatformProcess.start(folder.path, ports);
    await page.getByText("Nobody yet").waitFor();
    await page.getByText("This one").waitFor();
    assert.equal(await page.getByText("The platform does not answer.").count(), 0);
  });
});

test("a session that was ended by another: a word why, and after the log-in the same page", async () => {
  const otto = await addUser(platform, "otto", "operator");
  await visiting({ at: "/rules", as: otto }, async (page) => {
    await page.getByRole("heading", { name: "There is no rule" }).waitFor();
    await goTo(page, "/things/valve?range=1h");
    await page.getByRole("heading", { name: "valve", level: 1 }).waitFor();
    const { sessions } = await platform.api<SessionList>("GET", "/api/sessions?all=true");
    const his = sessions.filter(({ user }) => user === "otto");
    for (const { id } of his) await platform.api("DELETE", `/api/sessions/${id}`);
    await page.getByText("Your session has ended").waitFor();
    await picture(page, "session-over");
    await page.getByLabel("Name").fill(otto.name);
    await page.getByLabel("Password", { exact: true }).fill(otto.password);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "valve", level: 1 }).waitFor();
    await page.waitForURL(/#\/things\/valve\?range=1h$/);
    await live(page);
  });
});

test("a viewer opens an administrator's page and is told whom to ask; who was one until now, too", async () => {
  const vera = await addUser(platform, "vera", "viewer");
  await visiting({ at: "/people", as: vera }, async (page) => {
    await page.getByRole("heading", { name: "As viewer you may not see this page." }).waitFor();
    await picture(page, "not-allowed");
    assert.deepEqual(await page.evaluate(AUDIT), []);
    await page.getByRole("link", { name: "To the fleet" }).click();
    await page.locator("[data-thing='valve']").waitFor();
  });
  await addUser(platform, "ruth", "administrator"); // one must stay
  const anna = await addUser(platform, "anna", "administrator");
  await visiting({ at: "/people", as: anna }, async (page) => {
    await page.getByRole("cell", { name: "vera" }).first().waitFor();
    await platform.api("PATCH", "/api/users/anna", { role: "viewer" });
    await page.getByText("Your session has ended").waitFor();
    await page.getByLabel("Name").fill(anna.name);
    await page.getByLabel("Password", { exact: true }).fill(anna.password);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "As viewer you may not see this page." }).waitFor();
  });
});
