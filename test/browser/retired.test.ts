/** Things that leave for good, in the browser, against the real platform. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import type { ForgottenThings } from "../../src/cloud/api/contract.ts";
import { addDevice, connectDevice } from "../scenarios/support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "../scenarios/support/platform-process.ts";
import { AUDIT, OVERFLOW } from "./audit.ts";
import { launchChromium } from "./browser.ts";
import type { Chromium } from "./browser.ts";
import { addUser } from "./enter-dashboard.ts";
import { buildDashboard } from "./site.ts";
import { picture, visitDashboard } from "./visit-dashboard.ts";
import type { Visiting } from "./visit-dashboard.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;
let chromium: Chromium;

before(async () => {
  await buildDashboard();
  chromium = await launchChromium();
  platform = await PlatformProcess.start(folder.path);
});

after(async () => {
  await chromium?.close();
  await platform?.stop();
  folder.remove();
});

const visiting = (where: Visiting, run: (page: Page) => Promise<void>): Promise<void> =>
  visitDashboard({ chromium, platform }, where, run);

const cells = (page: Page, thing: string): Promise<string[]> =>
  page.locator(`[data-retired='${thing}'] td[data-label]`).allInnerTexts();

test("nobody has left: the page says how somebody would", () =>
  visiting({ at: "/" }, async (page) => {
    await page.getByRole("link", { name: "Retired things" }).click();
    await page.getByRole("heading", { name: "No thing was retired" }).waitFor();
    await picture(page, "retired-none");
  }));

test("a device is retired from its page: told what it means, cut, its name blocked, found in the list, freed, and given again", async () => {
  const device = await addDevice(platform, folder.path, "pump-7");
  const client = await connectDevice(platform, device);
  await client.publishAsync("telemetry/pump-7/engine", '{"rpm":900}', { qos: 1, retain: true });
  await until("its reading is stored", async () => {
    const { values } = await platform.api<{ values: unknown[] }>("GET", "/api/things/pump-7/latest");
    return values.length > 0;
  });
  const cut = new Promise<void>((resolve) => client.once("close", () => resolve()));
  await visiting({ at: "/things/pump-7" }, async (page) => {
    await page.getByText("Online").first().waitFor();
    await page.getByRole("button", { name: "Retire …" }).click();
    const dialog = page.getByRole("dialog", { name: "Retire pump-7?" });
    await dialog.getByText("1 certificate is revoked: this cannot be taken back.").waitFor();
    await dialog.getByText("It is online now: its connection is cut.").waitFor();
    const button = dialog.getByRole("button", { name: "Retire it for good" });
    assert.equal(await button.isDisabled(), true, "not before the name is typed");
    await dialog.getByLabel("Type pump-7 to go on").fill("pump-");
    assert.equal(await button.isDisabled(), true);
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await dialog.waitFor({ state: "hidden" });
    assert.equal(client.connected, true, "cancelled is not done");

    await page.getByRole("button", { name: "Retire …" }).click();
    await dialog.getByLabel("Block its name").check();
    await dialog.getByLabel("Type pump-7 to go on").fill("pump-7");
    await picture(page, "retire-ask");
    assert.deepEqual(await page.evaluate(AUDIT), []);
    await button.click();
    await page.getByRole("heading", { name: "Retired things" }).waitFor();
    await cut;
    const row = page.locator("[data-retired='pump-7']");
    await row.getByText("blocked").waitFor();
    assert.deepEqual(
      (await cells(page, "pump-7")).filter((_, i) => i !== 1),
      ["pump-7", "kept", "blocked", "done"],
    );
    await row.getByText("done").click();
    await row.getByText(/^Removed: .*certificates revoked: 1/).waitFor();
    await picture(page, "retired-one");

    // Whoever follows an old link is told.
    await page.evaluate("location.hash = '/things/pump-7'");
    await page.getByText(/^It was retired on .*; its data was kept\.$/).waitFor();
    await picture(page, "retired-thing");
    await page.getByRole("link", { name: "Retired things" }).click();
    await row.getByRole("button", { name: "Free the name: pump-7" }).click();
    await row.getByRole("button", { name: "Free it now: pump-7" }).click();
    await row.getByText("free", { exact: true }).waitFor();
    assert.equal(await row.getByRole("button").count(), 0);

    await platform.api("POST", "/things/pump-7", {});
    await page.reload();
    await row.getByRole("link", { name: "another thing's by now" }).click();
    await page.getByRole("heading", { name: "pump-7", level: 1 }).waitFor();
  });
});

test("with its data: only who may erase is asked for it, and the readings are gone", async () => {
  await platform.api("POST", "/things/pump-8", {});
  await platform.api("POST", "/topics/telemetry/pump-8/engine?qos=1", { rpm: 800 });
  await visiting({ at: "/things/pump-8", as: await addUser(platform, "otto", "operator") }, async (page) => {
    await page.getByRole("button", { name: "Retire …" }).click();
    await page.getByLabel("Block its name").waitFor();
    assert.equal(await page.getByLabel("Erase everything that it has reported").count(), 0);
  });
  await visiting({ at: "/things/pump-8" }, async (page) => {
    await page.getByRole("button", { name: "Retire …" }).click();
    await page.getByText("It has nothing that lets it in.").waitFor();
    await page.getByLabel("Erase everything that it has reported").check();
    await page.getByLabel("Type pump-8 to go on").fill("pump-8");
    await page.getByRole("button", { name: "Retire it for good" }).click();
    const row = page.locator("[data-retired='pump-8']");
    await row.getByText("done", { exact: true }).click();
    assert.deepEqual((await cells(page, "pump-8")).slice(2, 4), ["erased", "free"]);
    await row.getByRole("button", { name: "Look for it in backups" }).click();
    await row.getByText("No backup that is known here holds it.").waitFor();
  });
  const { things } = await platform.api<ForgottenThings>("GET", "/api/retirements");
  assert.equal(things[0]?.thing, "pump-8");
});

test("a viewer sees who has left, and no button; on a telephone all of it fits", async () => {
  await platform.api("POST", "/things/a-thing-with-a-name-that-is-longer-than-a-telephone-is-wide", {});
  await platform.api("POST", "/api/things/a-thing-with-a-name-that-is-longer-than-a-telephone-is-wide/retire", {
    blockName: true,
  });
  await platform.api("POST", "/things/pump-9", {});
  const vera = await addUser(platform, "vera", "viewer");
  await visiting({ at: "/retired", as: vera }, async (page) => {
    const row = page.locator("[data-retired^='a-thing']");
    await row.getByText("blocked").waitFor();
    assert.equal(await row.getByRole("button").count(), 0);
    await page.evaluate("location.hash = '/things/pump-9'");
    await page.getByRole("heading", { name: "What lets it in" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Retire …" }).count(), 0);
  });
  for (const colorScheme of ["light", "dark"] as const) {
    const browser = { viewport: { width: 390, height: 844 }, colorScheme };
    await visiting({ at: "/retired", browser }, async (page) => {
      await page.locator("[data-retired^='a-thing']").getByText("done").click();
      await picture(page, `retired-phone-${colorScheme}`);
      assert.deepEqual(await page.evaluate(OVERFLOW), []);
      assert.deepEqual(await page.evaluate(AUDIT), []);
      await page.evaluate("location.hash = '/things/pump-9'");
      await page.getByRole("button", { name: "Retire …" }).click();
      await page.getByLabel("Block its name").waitFor();
      await picture(page, `retire-phone-${colorScheme}`);
      assert.deepEqual(await page.evaluate(OVERFLOW), []);
      assert.deepEqual(await page.evaluate(AUDIT), []);
    });
  }
});

test("more have left than a page holds: the older ones come by a button, and stay when the list is loaded anew", async () => {
  await platform.api("POST", "/things/first-of-many", {});
  await platform.api("POST", "/api/things/first-of-many/retire", { blockName: true });
  for (let n = 0; n < 100; n++) {
    await platform.api("POST", `/things/many-${n}`, {});
    await platform.api("POST", `/api/things/many-${n}/retire`, {});
  }
  await visiting({ at: "/retired" }, async (page) => {
    const rows = page.locator("[data-retired]");
    const oldest = page.locator("[data-retired='first-of-many']");
    await rows.first().waitFor();
    assert.deepEqual([await rows.count(), await oldest.count()], [100, 0]);
    await page.getByRole("button", { name: "Show older ones" }).click();
    await oldest.getByRole("button", { name: "Free the name: first-of-many" }).click();
    await oldest.getByRole("button", { name: "Free it now: first-of-many" }).click();
    await oldest.getByText("free", { exact: true }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Show older ones" }).count(), 0);
    // Whoever follows an old link is told, however long ago it was.
    await page.evaluate("location.hash = '/things/first-of-many'");
    await page.getByText(/^It was retired on .*; its data was kept\.$/).waitFor();
  });
});
