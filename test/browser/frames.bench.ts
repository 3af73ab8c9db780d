/**
 * How smoothly the charts move: 3,600 points in each of 12 lines, following live.
 *
 *   node test/browser/frames.bench.ts
 */
import { launchChromium } from "./browser.ts";
import { startFakePlatform } from "./fake-platform.ts";

const ROWS = 3600;
const LINES = 12;
const STEP_MS = 250;
const MEASURE_MS = 5000;

const platform = await startFakePlatform();
const chromium = await launchChromium();
await platform.addThing("bench");
await platform.connect("bench");
const reading = (at: number): Record<string, number> =>
  Object.fromEntries(
    Array.from({ length: LINES }, (_, i) => [`group${i >> 2}.v${i}`, Math.sin(at / (4000 + i * 700)) * 50 + i * 3]),
  );
const now = Math.floor(Date.now() / STEP_MS) * STEP_MS;
for (let i = ROWS; i > 0; i--) platform.store.commit("bench", "load", reading(now - i * STEP_MS), now - i * STEP_MS);
const visit = await chromium.open();
await visit.page.goto(await platform.loginLink());
await visit.page.locator("h1").waitFor();
const timer = setInterval(() => void platform.publish("bench", "load", reading(Date.now())), STEP_MS);
for (const range of ["15m", "5m"]) {
  await visit.page.evaluate(`location.hash = "/things/bench?range=${range}"`);
  await visit.page.goto("about:blank");
  await visit.page.goto(`${platform.url}#/things/bench?range=${range}`);
  await visit.page.locator(".uplot").nth(2).waitFor();
  await visit.page.waitForTimeout(1500);
  const result = await visit.page.evaluate<{ frames: number; worst: number; rows: number }>(`new Promise((resolve) => {
    const start = performance.now();
    let frames = 0, worst = 0, last = start;
    const tick = (at) => {
      frames++;
      worst = Math.max(worst, at - last);
      last = at;
      if (at - start < ${MEASURE_MS}) requestAnimationFrame(tick);
      else resolve({ frames, worst, rows: __tidewire.feed().rows });
    };
    requestAnimationFrame(tick);
  })`);
  const metrics = await (await visit.context.newCDPSession(visit.page)).send("Runtime.getHeapUsage");
  const perSecond = (result.frames / (MEASURE_MS / 1000)).toFixed(1);
  process.stdout.write(
    `${range}: ${result.rows} rows × ${LINES} lines, ${perSecond} frames/s, longest frame ${result.worst.toFixed(0)} ms, heap ${(metrics.usedSize / 1048576).toFixed(1)} MiB\n`,
  );
}
clearInterval(timer);
await visit.close();
await chromium.close();
await platform.close();
