/**
 * A living fleet without a platform, to look at the dashboard and to take its pictures:
 *
 *   node test/browser/demo.ts                 serves it and prints a link
 *   node test/browser/demo.ts --shots FOLDER  takes pictures of every page, in both themes, wide and narrow
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { launchChromium } from "./browser.ts";
import { startFakePlatform } from "./fake-platform.ts";
import type { FakePlatform } from "./fake-platform.ts";
import { Machine } from "./machine.ts";

const FLEET: readonly (readonly [name: string, type: string, place: string])[] = [
  ["assembly-line-1", "gateway", "Hall A"],
  ["assembly-line-2", "gateway", "Hall A"],
  ["cold-store", "sensor-hub", "Building 3"],
  ["compressor-north", "sensor-hub", "Roof"],
  ["dock-camera-4", "camera", "Dock 4"],
  ["greenhouse", "sensor-hub", "Garden"],
  ["press-17", "gateway", "Hall B"],
  ["pump-station", "gateway", "River"],
  ["workshop-pi", "gateway", "Workshop"],
];

async function populate(platform: FakePlatform): Promise<() => void> {
  const machines = new Map<string, Machine>();
  const now = Math.floor(platform.now() / 1000) * 1000;
  for (const [i, [name, type, place]] of FLEET.entries()) {
    await platform.addThing(name, { type, attributes: { location: place } });
    const machine = new Machine(1000 + i, name === "workshop-pi" ? 4 : 2);
    machines.set(name, machine);
    const featured = name === "workshop-pi";
    await backfill(platform, name, machine, now, featured ? 7 * 86_400_000 : 3_600_000);
    await platform.connect(name);
  }
  await platform.addThing("spare-unit");
  machines.delete("dock-camera-4");
  await platform.disconnect("dock-camera-4");
  await platform.raiseAlert(
    { thing: "press-17", severity: "critical", summary: "Memory at 93.4 %, above 90 %." },
    now - 1_320_000,
    1320,
  );
  await platform.raiseAlert(
    { thing: "workshop-pi", severity: "warning", summary: "CPU at 91.7 %, above 90 %." },
    now - 44_000,
    12,
  );
  const old = await platform.raiseAlert(
    { thing: "pump-station", severity: "warning", summary: "Disk at 90.2 %, above 90 %." },
    now - 9e6,
    3,
  );
  await platform.resolveAlert(old, now - 6e6);
  const timer = setInterval(() => void beat(platform, machines), 1000);
  return () => clearInterval(timer);
}

async function backfill(
  platform: FakePlatform,
  name: string,
  machine: Machine,
  now: number,
  span: number,
): Promise<void> {
  const dense = 1_000_000;
  for (let at = now - span; at < now; at += at < now - dense ? 15_000 : 1000) {
    // Offline for a while, as it happens.
    if (at > now - 190_000 && at < now - 160_000 && name === "workshop-pi") continue;
    platform.store.commit(name, "system", machine.reading(at), at);
    if (name === "greenhouse" && at % 5000 === 0) greenhouse(platform, at);
  }
}

function greenhouse(platform: FakePlatform, at: number): void {
  const climate = {
    airPressureHpa: 1013 + Math.sin(at / 4e6) * 4,
    "soil.north": 0.41 + Math.sin(at / 9e5) * 0.05,
    "soil.south": 0.36 + Math.sin(at / 7e5) * 0.04,
    pumpRunning: Math.sin(at / 120_000) > 0.4,
    mode: "automatic",
  };
  platform.store.commit("greenhouse", "climate", climate, at);
}

async function beat(platform: FakePlatform, machines: ReadonlyMap<string, Machine>): Promise<void> {
  const at = Math.floor(platform.now() / 1000) * 1000;
  for (const [name, machine] of machines) await platform.publish(name, "system", machine.reading(at), at);
}

interface Shot {
  readonly name: string;
  readonly hash: string;
  readonly prepare?: (page: Page, platform: FakePlatform) => Promise<void>;
}

const SHOTS: readonly Shot[] = [
  { name: "fleet", hash: "#/" },
  { name: "thing", hash: "#/things/workshop-pi" },
  { name: "thing-1h", hash: "#/things/workshop-pi?range=1h" },
  {
    name: "thing-cursor",
    hash: "#/things/workshop-pi",
    prepare: async (page) => {
      const box = (await page.locator("[data-chart='system/memory'] .u-over").boundingBox())!;
      await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.5);
    },
  },
  { name: "thing-7d", hash: "#/things/workshop-pi?range=7d" },
  { name: "thing-table", hash: "#/things/workshop-pi", prepare: (page) => page.keyboard.press("t") },
  { name: "greenhouse", hash: "#/things/greenhouse?range=15m" },
  { name: "alerts", hash: "#/alerts" },
  { name: "history", hash: "#/alerts?tab=history" },
  { name: "menu", hash: "#/", prepare: (page) => page.locator(".menu-button").click() },
  { name: "shortcuts", hash: "#/", prepare: (page) => page.keyboard.press("?") },
  {
    name: "lost",
    hash: "#/things/workshop-pi",
    prepare: async (page, platform) => {
      await platform.setReachable(false);
      await page.locator("[data-banner='connection']").waitFor();
      await page.waitForTimeout(12_000);
    },
  },
];

async function takeShots(folder: string, wanted: string | undefined): Promise<void> {
  await mkdir(folder, { recursive: true });
  const chromium = await launchChromium();
  for (const scheme of ["dark", "light"] as const) {
    for (const [size, viewport] of [
      ["desktop", { width: 1440, height: 900 }],
      ["phone", { width: 390, height: 844 }],
    ] as const) {
      const platform = await startFakePlatform();
      const visit = await chromium.open({ colorScheme: scheme, viewport, deviceScaleFactor: size === "phone" ? 2 : 1 });
      const shoot = (name: string): Promise<unknown> =>
        visit.page.screenshot({ path: join(folder, `${name}-${size}-${scheme}.png`) });
      await visit.page.goto(platform.url);
      await visit.page.locator("#token").waitFor();
      await shoot("login");
      await visit.page.goto("about:blank");
      await visit.page.goto(await platform.loginLink());
      await visit.page.locator(".empty").waitFor();
      await shoot("empty");
      const stop = await populate(platform);
      for (const { name, hash, prepare } of SHOTS) {
        if (wanted !== undefined && !wanted.split(",").includes(name)) continue;
        await visit.page.goto("about:blank");
        await visit.page.goto(`${platform.url}${hash}`);
        await visit.page.waitForTimeout(4500);
        await prepare?.(visit.page, platform);
        await visit.page.waitForTimeout(300);
        await shoot(name);
      }
      stop();
      for (const complaint of visit.complaints) process.stdout.write(`${complaint}\n`);
      await visit.close();
      await platform.close().catch(() => {});
    }
  }
  await chromium.close();
}

const [mode, folder, wanted] = process.argv.slice(2);
if (mode === "--shots" && folder !== undefined) await takeShots(folder, wanted);
else {
  const platform = await startFakePlatform();
  await populate(platform);
  process.stdout.write(`${await platform.loginLink()}\nToken: ${platform.token}\n`);
}
