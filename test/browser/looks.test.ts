import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { AUDIT, OVERFLOW } from "./audit.ts";
import { CONTENT_SECURITY_POLICY } from "./fake-platform.ts";
import type { FakePlatform } from "./fake-platform.ts";
import { Machine } from "./machine.ts";
import { live, browserTests, until } from "./site.ts";

const open = browserTests();

/** A long name, because names are long. */
const LONG = "assembly-line-north-building-2-compressor-unit-0017-a";

async function populate(platform: FakePlatform): Promise<void> {
  const now = Math.floor(platform.now() / 1000) * 1000;
  for (const thing of ["pump", LONG, "valve"]) {
    await platform.addThing(thing, {
      type: "gateway",
      attributes: { location: "Hall A", serialNumber: "A-0081-7731" },
    });
    const machine = new Machine(7, 4);
    for (let at = now - 60_000; at < now; at += 1000) platform.store.commit(thing, "system", machine.reading(at), at);
  }
  platform.store.commit(LONG, "plant", { mode: "automatic", running: true, "a.x": 1, "a.y": 2 }, now);
  await platform.connect("pump");
  await platform.connect(LONG);
  await platform.connect("valve");
  await platform.disconnect("valve");
  for (const severity of ["critical", "warning", "info"] as const) {
    await platform.raiseAlert({ thing: LONG, severity, summary: "Memory at 93.4 %, above the limit of 90 %." });
  }
  const ended = await platform.raiseAlert({ thing: "pump", severity: "critical", summary: "CPU at 99 %, above 90 %." });
  await platform.resolveAlert(ended);
}

interface Look {
  readonly name: string;
  readonly at: string;
  /** There once the page is complete. */
  readonly sign: string;
  readonly prepare?: (page: Page) => Promise<void>;
}

/** On a phone it is below three alerts, and charts are drawn when they are seen. */
async function toFirstChart(page: Page): Promise<void> {
  await page.locator(".chart").first().waitFor();
  await until(page, "document.querySelector('.chart')?.scrollIntoView() ?? document.querySelector('.uplot') !== null");
}

const LOOKS: readonly Look[] = [
  { name: "fleet", at: "/", sign: "tr[data-thing='pump'] .value" },
  { name: "thing", at: `/things/${LONG}`, sign: ".uplot", prepare: toFirstChart },
  {
    name: "thing as tables",
    at: `/things/${LONG}`,
    sign: ".chart-table",
    prepare: async (page) => {
      await toFirstChart(page);
      await page.locator(".uplot").first().waitFor();
      await page.keyboard.press("t");
      await page.locator("details summary").click();
    },
  },
  { name: "alerts", at: "/alerts", sign: ".alert" },
  { name: "alert history", at: "/alerts?tab=history", sign: ".alert.is-resolved" },
  { name: "no such page", at: "/nowhere", sign: ".empty" },
  {
    name: "menu",
    at: "/",
    sign: ".menu:popover-open",
    prepare: (page) => page.getByRole("button", { name: "Menu" }).click(),
  },
  { name: "shortcuts", at: "/alerts", sign: "dialog[open]", prepare: (page) => page.keyboard.press("?") },
];

for (const scheme of ["dark", "light"] as const) {
  for (const width of [1440, 320]) {
    test(`every page, ${scheme}, ${width} px: names, targets, contrast, no sideways scrolling, nothing against the policy`, async () => {
      await using site = await open({
        prepare: populate,
        browser: { colorScheme: scheme, viewport: { width, height: 900 } },
      });
      const { page, platform } = site;
      for (const { name, at, sign, prepare } of LOOKS) {
        await page.goto("about:blank");
        await page.goto(`${platform.url}#${at}`);
        await page.locator(".top").waitFor();
        await live(page); // by then the page listens to the keyboard, too
        await prepare?.(page);
        await page.locator(sign).first().waitFor();
        await until(page, "document.querySelector('.skeleton, .is-loading') === null");
        assert.deepEqual(await page.evaluate(AUDIT), [], name);
        assert.deepEqual(await page.evaluate(OVERFLOW), [], name);
      }
      await page.goto("about:blank");
      await site.visit.context.clearCookies();
      await page.goto(platform.url);
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByText("The token is missing.").waitFor();
      assert.deepEqual(await page.evaluate(AUDIT), [], "login");
      assert.deepEqual(await page.evaluate(OVERFLOW), [], "login");
      assert.deepEqual(site.visit.complaints, []);
    });
  }
}

test("the audit finds what it is there for", async () => {
  await using site = await open();
  const { page } = site;
  await page.evaluate(`document.getElementById("main").insertAdjacentHTML("beforeend",
    '<button id="main"></button><p class="pale">pale</p><h1>second</h1>');
    document.querySelector(".pale").style.color = "#888";
    document.querySelector(".pale").style.backgroundColor = "#999";`);
  const findings = (await page.evaluate<string[]>(AUDIT)).join("\n");
  for (const rule of ["no name", "target below 24 px", "contrast 1.2", "id twice: main", "not exactly one h1"]) {
    assert.match(findings, new RegExp(rule), rule);
  }
  await page.evaluate(`document.querySelector(".pale").style.width = "5000px"`);
  assert.notDeepEqual(await page.evaluate(OVERFLOW), []);
});

test("the theme is chosen, remembered, and charts follow it", async () => {
  await using site = await open({ prepare: populate, at: `/things/pump`, browser: { colorScheme: "light" } });
  const { page } = site;
  await page.locator(".uplot").first().waitFor();
  const ground = (): Promise<string> => page.evaluate("getComputedStyle(document.body).backgroundColor");
  const light = await ground();
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByText("Dark", { exact: true }).click();
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.keyboard.press("Escape");
  await page.reload();
  await page.locator(".uplot").first().waitFor();
  assert.equal(await ground(), dark);
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByText("System", { exact: true }).click();
  assert.equal(await ground(), light);
});

test("every control shows where the focus is, and the sticky bars do not hide it", async () => {
  await using site = await open({ prepare: populate, at: `/things/pump` });
  const { page } = site;
  // The focus begins at the top of a page that was just opened.
  await page.reload();
  await page.locator(".uplot").nth(5).waitFor();
  const stops: string[] = [];
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate<{ name: string; outline: boolean; hidden: boolean } | null>(`(() => {
      const e = document.activeElement;
      if (e === null || e === document.body) return null;
      const { left, top, width, height } = e.getBoundingClientRect();
      const style = getComputedStyle(e);
      const at = document.elementFromPoint(left + width / 2, top + Math.min(height / 2, 20));
      return {
        name: (e.getAttribute("aria-label") ?? e.textContent).trim().slice(0, 40),
        outline: style.outlineStyle !== "none" || getComputedStyle(e, "::after").outlineStyle !== "none",
        hidden: at !== null && !e.contains(at) && !at.contains(e),
      };
    })()`);
    if (stop === null) break;
    stops.push(stop.name);
    assert.ok(stop.outline, `no visible focus on ${stop.name}`);
    assert.ok(!stop.hidden, `focus hidden on ${stop.name}`);
  }
  for (const name of [
    "Fleet",
    "Menu",
    "Last 15 minutes",
    "Zoom in",
    "CPU as a table",
    "CPU chart",
    "Temperature chart",
  ]) {
    assert.ok(stops.includes(name), `${name} is reached; stops: ${stops.join(" | ")}`);
  }
});

test("with reduced motion nothing moves by itself but the data", async () => {
  await using site = await open({ prepare: populate, browser: { reducedMotion: "reduce" } });
  await site.page.locator("tr[data-thing='pump']").waitFor();
  assert.equal(await site.page.evaluate("document.getAnimations().length"), 0);
});

test("the page comes with a policy that allows nothing inline and nothing from elsewhere", async () => {
  await using site = await open({ at: null });
  const response = await fetch(site.platform.url);
  assert.equal(response.headers.get("content-security-policy"), CONTENT_SECURITY_POLICY);
  assert.doesNotMatch(CONTENT_SECURITY_POLICY, /unsafe|\*|data:/);
  const html = await response.text();
  assert.doesNotMatch(html, /<style|style=|<script>|https?:\/\//);
});
