/** Pictures of the running dashboard for the README: `node tools/screenshot.ts URL-WITH-CODE OUT.png [light|dark] [WIDTHxHEIGHT] [ROUTE] [SECONDS]`. */
import { chromium } from "playwright-core";

const [link, out, theme = "dark", size = "1440x900", route = "", wait = "5"] = process.argv.slice(2);
if (link === undefined || out === undefined) {
  process.stderr.write("usage: node tools/screenshot.ts LINK OUT.png [light|dark] [WIDTHxHEIGHT] [ROUTE] [SECONDS]\n");
  process.exit(2);
}
const [width = 1440, height = 900] = size.split("x").map(Number);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
  ],
});
try {
  const page = await browser.newPage({
    viewport: { width, height },
    colorScheme: theme === "light" ? "light" : "dark",
    deviceScaleFactor: 1,
  });
  await page.goto(link);
  await page.waitForSelector("main");
  if (route !== "") await page.goto(`${new URL(link).origin}/${route}`);
  await page.waitForTimeout(Number(wait) * 1000);
  await page.screenshot({ path: out });
} finally {
  await browser.close();
}
