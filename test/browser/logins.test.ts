/** What lets a thing in, in the browser, against the real platform: its certificates and its password. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connectAsync } from "mqtt";
import type { MqttClient } from "mqtt";
import type { BrowserContextOptions, Page } from "playwright-core";
import { addDevice, connectDevice } from "../scenarios/support/device.ts";
import type { Device } from "../scenarios/support/device.ts";
import { PlatformProcess, temporaryFolder } from "../scenarios/support/platform-process.ts";
import { AUDIT, OVERFLOW } from "./audit.ts";
import { launchChromium } from "./browser.ts";
import type { Chromium } from "./browser.ts";
import { addUser } from "./enter-dashboard.ts";
import type { Login } from "./enter-dashboard.ts";
import { buildDashboard } from "./site.ts";
import { picture, visitDashboard } from "./visit-dashboard.ts";

const AT = "/things/meter-1";

const folder = temporaryFolder();
let platform: PlatformProcess;
let chromium: Chromium;
let device: Device;

before(async () => {
  await buildDashboard();
  chromium = await launchChromium();
  platform = await PlatformProcess.start(folder.path, ["--listen", "mqtts://127.0.0.1:0?auth=password"]);
  device = await addDevice(platform, folder.path, "meter-1");
});

after(async () => {
  await chromium?.close();
  await platform?.stop();
  folder.remove();
});

function visiting(run: (page: Page) => Promise<void>, as?: Login, browser?: BrowserContextOptions): Promise<void> {
  const where = { at: AT, ...(as === undefined ? {} : { as }), ...(browser === undefined ? {} : { browser }) };
  return visitDashboard({ chromium, platform }, where, async (page) => {
    await page.getByRole("heading", { name: "What lets it in" }).waitFor();
    await run(page);
  });
}

function logIn(password: string): Promise<MqttClient> {
  const at = { clientId: "meter-1", username: "meter-1", password, ca: device.ca, reconnectPeriod: 0 } as const;
  return connectAsync(platform.ready.listen[0]!, { ...at, protocolVersion: 5 });
}

async function pictureOfAccess(page: Page, name: string): Promise<void> {
  await page.locator(".access").scrollIntoViewIfNeeded();
  await picture(page, name);
}

test("a password from the first to none: made and shown once, used, renewed, removed", () =>
  visiting(async (page) => {
    const card = page.getByRole("article", { name: "Password" });
    await card.getByText("It has none.").waitFor();
    await card.getByRole("button", { name: "Give it a password" }).click();
    const first = await card.locator(".told-once code").innerText();
    assert.match(first, /^[\w-]{32}$/);
    await card.getByText("not used lately").waitFor();
    await pictureOfAccess(page, "password-made");
    const client = await logIn(first);
    await card.getByText("last used").waitFor();

    await card.getByRole("button", { name: "I have copied it" }).click();
    assert.equal(await card.getByText(first).count(), 0);
    const cut = new Promise<void>((resolve) => client.once("close", () => resolve()));
    await card.getByRole("button", { name: "Renew: the password of meter-1" }).click();
    await card.getByRole("button", { name: /^Renew now/ }).click();
    const code = card.locator(".told-once code");
    await code.waitFor();
    const second = await code.innerText();
    assert.notEqual(second, first);
    await cut;
    await assert.rejects(logIn(first), /Not authorized|Bad User Name/i);
    const again = await logIn(second);
    await page.reload();
    await page.getByRole("heading", { name: "What lets it in" }).waitFor();
    assert.equal(await page.getByText(second).count(), 0, "shown once");

    const gone = new Promise<void>((resolve) => again.once("close", () => resolve()));
    await card.getByRole("button", { name: "Remove: the password of meter-1" }).click();
    await card.getByRole("button", { name: "Remove now: the password of meter-1" }).click();
    await card.getByText("It has none.").waitFor();
    await gone;
    await assert.rejects(logIn(second), /Not authorized|Bad User Name/i);
  }));

test("a certificate that is deactivated, activated and revoked: a device that is connected with it is cut", () =>
  visiting(async (page) => {
    const entry = page.getByRole("article", { name: "Certificates" }).getByRole("listitem");
    await entry.getByText("active", { exact: true }).waitFor();
    await entry.getByText(/^expires in/).waitFor();
    assert.equal(await entry.locator("code").getAttribute("title"), device.certificateId);
    for (const [label, word] of [
      ["Deactivate", "inactive"],
      ["Activate", "active"],
      ["Revoke", "revoked"],
    ] as const) {
      const client = label === "Activate" ? null : await connectDevice(platform, device);
      const cut = client === null ? null : new Promise<void>((resolve) => client.once("close", () => resolve()));
      await entry.getByRole("button", { name: new RegExp(`^${label}: certificate`) }).click();
      await entry.getByRole("button", { name: new RegExp(`^${label} now: certificate`) }).click();
      await entry.getByText(word, { exact: true }).waitFor();
      await cut;
    }
    assert.equal(await entry.getByRole("button").count(), 0, "revoked is for ever");
  }));

test("a viewer sees it and changes nothing; on a telephone all of it fits", async () => {
  await platform.api("PUT", "/api/things/meter-1/password", {});
  const vera = await addUser(platform, "vera", "viewer");
  await visiting(async (page) => {
    const access = page.locator(".access");
    await access.getByText("may log in").waitFor();
    await access.getByText("revoked", { exact: true }).waitFor();
    assert.equal(await access.getByRole("button").count(), 0);
  }, vera);
  for (const colorScheme of ["light", "dark"] as const) {
    await visiting(
      async (page) => {
        await page.locator(".access").getByText("may log in").waitFor();
        await pictureOfAccess(page, `phone-${colorScheme}`);
        assert.deepEqual(await page.evaluate(OVERFLOW), []);
        assert.deepEqual(await page.evaluate(AUDIT), []);
      },
      undefined,
      { viewport: { width: 390, height: 844 }, colorScheme },
    );
  }
});
