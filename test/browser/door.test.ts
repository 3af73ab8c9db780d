import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import type { Refusal } from "../../src/cloud/api/contract.ts";
import { AUDIT, OVERFLOW } from "./audit.ts";
import type { FakePlatform } from "./fake-platform.ts";
import { browserTests, live } from "./site.ts";

const open = browserTests();

const CERTIFICATE = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const COMMAND = `tidewire policy allow --certificate ${CERTIFICATE} --action publish --resource 'hall a/${"deep/".repeat(20)}x'`;
const HOSTILE = `<img src="x" onerror="document.title='broken in'">`;

const door = (page: Page) => page.getByRole("region", { name: "At the door" });
const entries = (page: Page) => door(page).getByRole("listitem");

function stranger(now: number, more: Partial<Refusal> = {}): Refusal {
  return {
    sequence: 1,
    action: "connect",
    reason: "no-certificate",
    sentence: "The client sent no certificate",
    fix: "Give the device its own key and certificate: on the device, join with the code of",
    command: "tidewire things invite NAME",
    allowedNow: false,
    certificateId: null,
    subject: null,
    clientId: null,
    thing: null,
    remoteAddress: "192.0.2.7",
    resource: null,
    firstAt: now - 90_000,
    lastAt: now - 90_000,
    count: 1,
    ...more,
  };
}

function forbidden(now: number, more: Partial<Refusal> = {}): Refusal {
  return stranger(now, {
    sequence: 2,
    action: "publish",
    reason: "publish-forbidden",
    sentence: "The policies lack iot:Publish on 'hall a'",
    fix: "If it is meant to, allow it for this certificate",
    command: COMMAND,
    certificateId: CERTIFICATE,
    clientId: "pump",
    thing: "pump",
    resource: `hall a/${"deep/".repeat(20)}x`,
    firstAt: now - 3_600_000,
    lastAt: now - 5000,
    count: 1234,
    ...more,
  });
}

async function populate(platform: FakePlatform): Promise<void> {
  for (const thing of ["pump", "valve"]) {
    await platform.addThing(thing, { type: "gateway" });
    await platform.connect(thing);
  }
}

test("nobody refused: no section; the first refusal appears by itself, with its reason and the command that allows it", async () => {
  await using site = await open({ prepare: populate });
  const { page, platform } = site;
  await page.getByText("Everything is online, no active alerts.").waitFor();
  assert.equal(await door(page).count(), 0);

  platform.setRefusals([forbidden(platform.now())]);
  const entry = entries(page).first();
  await entry.getByText("The policies lack iot:Publish on 'hall a'.").waitFor();
  await entry.getByText("If it is meant to, allow it for this certificate:").waitFor();
  assert.match(await entry.innerText(), /pump wanted to publish to hall a\/deep/);
  assert.match(await entry.innerText(), /1,234 times, last \d+\ss ago/);
  assert.equal(await entry.locator(".command code").innerText(), COMMAND);

  platform.setRefusals([forbidden(platform.now(), { allowedNow: true })]);
  await entry.getByText("Allowed now: its next attempt passes.").waitFor();
  assert.equal(await entry.locator(".command").count(), 0, "nothing is left to be done");

  platform.setRefusals([]);
  await door(page).waitFor({ state: "detached" });
  assert.deepEqual(site.visit.complaints, []);
});

test("the command is copied; where the browser has no clipboard, it is selected", async () => {
  await using site = await open({
    prepare: async (platform) => {
      await populate(platform);
      platform.setRefusals([forbidden(platform.now())]);
    },
    browser: { permissions: ["clipboard-read", "clipboard-write"] },
  });
  const { page } = site;
  await door(page).getByRole("button", { name: "Copy" }).click();
  await door(page).getByText("Copied").waitFor();
  assert.equal(await page.evaluate("navigator.clipboard.readText()"), COMMAND);
  await door(page).getByRole("button", { name: "Copy", exact: true }).waitFor();

  await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })");
  await door(page).getByRole("button", { name: "Copy", exact: true }).click();
  await door(page).getByText("Selected: copy it now").waitFor();
  assert.equal(await page.evaluate("getSelection().toString()"), COMMAND);
});

test("a flood of strangers is shown in pages, is asked for now and then, and what they call themselves stays text", async () => {
  await using site = await open({ prepare: populate });
  const { page, platform } = site;
  const now = platform.now();
  const flood = Array.from({ length: 700 }, (_, i) =>
    stranger(now, { sequence: 700 - i, clientId: `id-${i}`, subject: i === 0 ? `CN=${HOSTILE}` : null }),
  );
  for (let i = 0; i < 50; i++) platform.setRefusals(flood);
  await door(page).getByText(HOSTILE).waitFor();
  assert.equal(await entries(page).count(), 3);
  await door(page).getByRole("button", { name: "Show more" }).click();
  await entries(page).nth(22).waitFor();
  assert.equal(await entries(page).count(), 23);

  // Each knocks again, in another order: what is being read does not move.
  const before = await entries(page).locator(".door-device").allInnerTexts();
  const later = Array.from({ length: 23 }, (_, i) => ({ ...flood[i]!, sequence: 1000 + i, count: 2, lastAt: now }));
  platform.setRefusals([...later.toReversed(), ...flood.slice(23)]);
  await entries(page).nth(22).getByText("2 times").waitFor();
  assert.deepEqual(await entries(page).locator(".door-device").allInnerTexts(), before);

  const asked = platform.requests.filter((request) => request.startsWith("GET /api/refusals"));
  assert.ok(asked.length <= 10, `${asked.length} requests for 51 events`);
  assert.notEqual(await page.title(), "broken in");
  assert.deepEqual(site.visit.complaints, []);
});

test("the page of a thing shows its own refusals, and those of strangers under its name apart", async () => {
  await using site = await open({
    prepare: async (platform) => {
      await populate(platform);
      const now = platform.now();
      const other = stranger(now, { clientId: "boiler" });
      platform.setRefusals([other, stranger(now, { clientId: "pump" }), forbidden(now)]);
    },
    at: "/things/pump",
  });
  const { page, platform } = site;
  await entries(page).getByText("It wanted to publish to").waitFor();
  const texts = await entries(page).allInnerTexts();
  assert.equal(texts.length, 2);
  assert.match(texts[0]!, /^pump wanted to connect[^]*name not proved/, "who only uses its name is not it");
  assert.ok(platform.requests.includes("GET /api/refusals?thing=pump&limit=4"));
  await page.evaluate("location.hash = '/things/valve'");
  await page.getByRole("heading", { name: "valve" }).waitFor();
  await door(page).waitFor({ state: "detached" });
});

for (const scheme of ["dark", "light"] as const) {
  for (const width of [1280, 390]) {
    test(`at the door, ${scheme}, ${width} px: names, targets, contrast, no sideways scrolling`, async () => {
      await using site = await open({
        prepare: async (platform) => {
          await populate(platform);
          const now = platform.now();
          const passed = forbidden(now, { allowedNow: true, reason: "subscribe-forbidden", action: "subscribe" });
          platform.setRefusals([forbidden(now), stranger(now, { subject: `CN=${"long".repeat(40)}` }), passed]);
        },
        browser: { colorScheme: scheme, viewport: { width, height: 900 } },
      });
      const { page, platform } = site;
      for (const at of ["/", "/things/pump"]) {
        await page.goto(`${platform.url}#${at}`);
        await live(page);
        await entries(page).getByText("Allowed now").waitFor();
        assert.deepEqual(await page.evaluate(AUDIT), [], at);
        assert.deepEqual(await page.evaluate(OVERFLOW), [], at);
      }
      assert.deepEqual(site.visit.complaints, []);
    });
  }
}
