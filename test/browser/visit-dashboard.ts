/** One visit of a real platform's dashboard: entered, gone to a page, looked at, and nothing amiss by the end. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContextOptions, Page } from "playwright-core";
import type { PlatformProcess } from "../scenarios/support/platform-process.ts";
import type { Chromium } from "./browser.ts";
import { enterDashboard } from "./enter-dashboard.ts";
import type { Login } from "./enter-dashboard.ts";

const PATIENCE_MS = 60_000;
/** `SHOTS=FOLDER` keeps pictures. */
const SHOTS = process.env["SHOTS"];

export interface Visiting {
  readonly at: string;
  /** Without it, the administrator. */
  readonly as?: Login;
  readonly browser?: BrowserContextOptions;
}

export async function visitDashboard(
  { chromium, platform }: { readonly chromium: Chromium; readonly platform: PlatformProcess },
  { at, as, browser }: Visiting,
  run: (page: Page) => Promise<void>,
): Promise<void> {
  const visit = await chromium.open(browser);
  visit.page.setDefaultTimeout(PATIENCE_MS);
  try {
    await enterDashboard(visit.page, platform, as);
    await goTo(visit.page, at);
    await run(visit.page);
    assert.deepEqual(visit.complaints, []);
  } finally {
    await visit.close();
  }
}

export async function goTo(page: Page, at: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(at)}`);
}

export async function picture(page: Page, name: string): Promise<void> {
  if (SHOTS === undefined) return;
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}
