/** What every browser test starts with: the dashboard as it is now, a platform, a browser, somebody logged in. */
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import type { BrowserContextOptions, Page } from "playwright-core";
import { build } from "vite";
import { launchChromium } from "./browser.ts";
import type { Chromium, Visit } from "./browser.ts";
import { startFakePlatform } from "./fake-platform.ts";
import type { FakeOptions, FakePlatform } from "./fake-platform.ts";

const CONFIG = fileURLToPath(new URL("../../src/web/vite.config.ts", import.meta.url));

let built: Promise<unknown> | undefined;

/** Once per run, so that no test ever looks at yesterday's dashboard; `tools/test.ts` does it for all files together. */
export function buildDashboard(): Promise<unknown> {
  if (process.env["TIDEWIRE_DASHBOARD"] === "built") return Promise.resolve();
  built ??= build({ configFile: CONFIG, logLevel: "error" });
  return built;
}

export interface Site extends AsyncDisposable {
  readonly platform: FakePlatform;
  readonly visit: Visit;
  readonly page: Page;
}

export interface SiteOptions extends FakeOptions {
  readonly browser?: BrowserContextOptions;
  /** Fills the platform before the page opens. */
  readonly prepare?: (platform: FakePlatform) => Promise<void>;
  /** Address after `#`; null: not logged in. */
  readonly at?: string | null;
}

/** To be called once per test file; gives a function that opens a site, to be used with `await using`. */
export function browserTests(): (options?: SiteOptions) => Promise<Site> {
  let chromium: Chromium | undefined;
  before(async () => {
    await buildDashboard();
    chromium = await launchChromium();
  });
  after(() => chromium?.close());
  return async ({ browser, prepare, at = "/", ...options } = {}) => {
    const platform = await startFakePlatform(options);
    const visit = await chromium!.open(browser);
    visit.page.setDefaultTimeout(15_000);
    await prepare?.(platform);
    if (at !== null) await logIn(platform, visit.page, at);
    return {
      platform,
      visit,
      page: visit.page,
      [Symbol.asyncDispose]: async () => {
        await visit.close();
        await platform.close();
      },
    };
  };
}

async function logIn(platform: FakePlatform, page: Page, at: string): Promise<void> {
  await page.goto(await platform.loginLink());
  await page.locator("h1", { hasText: "Fleet" }).waitFor();
  if (at !== "/") await page.evaluate(`location.hash = ${JSON.stringify(at)}`);
  await live(page);
}

/** Waits until the page is live. */
export async function live(page: Page): Promise<void> {
  await page.locator("[data-connection='open']").waitFor();
}

const POLL_MS = 50;
const PATIENCE_MS = 15_000;

/**
 * Waits until `expression`, evaluated in the page, is true. Asked from outside: the page's policy forbids `eval`, which
 * playwright's own `waitForFunction` needs.
 */
export async function until(page: Page, expression: string, patienceMs = PATIENCE_MS): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await page.evaluate<boolean>(expression))) {
    if (performance.now() > end) throw new Error(`never true in ${patienceMs} ms: ${expression}`);
    await page.waitForTimeout(POLL_MS);
  }
}

export interface ShownChart {
  readonly id: string;
  readonly times: readonly number[];
  readonly lines: Readonly<Record<string, readonly (number | null)[]>>;
  readonly span: { readonly from: number; readonly to: number };
}

/** The data behind a chart, from the debug hook. JSON turns "no point" (undefined) into null, too. */
export async function chart(page: Page, id: string): Promise<ShownChart> {
  const text = await page.evaluate<string>(
    `JSON.stringify(__tidewire.charts().find((c) => c.id === ${JSON.stringify(id)}))`,
  );
  return JSON.parse(text) as ShownChart;
}

/** Points of one line as [time, value], breaks left out. */
export function pointsOf(shown: ShownChart, field: string): [number, number][] {
  const points: [number, number][] = [];
  for (const [row, value] of shown.lines[field]!.entries()) if (value !== null) points.push([shown.times[row]!, value]);
  return points;
}

/** Waits until the chart's line has a point at `time`. */
export async function untilPoint(page: Page, id: string, field: string, time: number): Promise<void> {
  await until(
    page,
    `(() => { const c = __tidewire.charts().find((c) => c.id === ${JSON.stringify(id)});
      const row = c === undefined ? -1 : c.times.indexOf(${time});
      return row >= 0 && c.lines[${JSON.stringify(field)}][row] != null; })()`,
  );
}
