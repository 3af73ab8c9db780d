/**
 * From a fresh clone to a moving chart with one command, `npm start`, on the machine's own Node. The npm cache is as it is.
 * Ours is what is left when npm's installation is taken away.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { stripVTControlCharacters } from "node:util";
import { launchChromium } from "../test/browser/browser.ts";
import type { SeriesResult } from "../src/cloud/api/contract.ts";
import { ROOT, outputOf, pause, start, stop, tell, withFolder } from "./processes.ts";
import { figure, median } from "./report.ts";
import type { Row } from "./report.ts";

const DEADLINE_MS = 300_000;
const POLL_MS = 50;

interface Result {
  readonly total: number;
  readonly install: number;
  /** The chart moved in a real browser, counted from the start of `npm start`; null where it was not looked at. */
  readonly seen: number | null;
}

export async function clone(runs: number): Promise<Row[]> {
  const results: Result[] = [];
  for (let run = 0; run < runs; run++) results.push(await measure());
  const browser = results.flatMap(({ seen }) => (seen === null ? [] : [seen]));
  const peer = `npm's installation ${figure(median(results.map(({ install }) => install)))} s, npm cache as it was`;
  return [
    {
      claim: "fresh clone → chart moves (API), `npm start`",
      unit: "s",
      must: { below: 90 },
      runs: results.map(({ total }) => total),
      peer,
    },
    {
      claim: "… of which ours: all but the installation",
      unit: "s",
      must: { below: 5 },
      runs: results.map(({ total, install }) => total - install),
      peer: `seen in Chromium after ${figure(median(browser))} s, its own start included`,
    },
  ];
}

function measure(): Promise<Result> {
  return withFolder(async (folder) => {
    const checkout = join(folder, "tidewire");
    const branch = (await outputOf(start(["git", "rev-parse", "HEAD"]))).trim();
    await outputOf(start(["git", "clone", "--quiet", "--no-local", ROOT, checkout]));
    await outputOf(start(["git", "-C", checkout, "checkout", "--quiet", branch]));
    // As a newcomer has it: nothing of this checkout on the path, nothing that npm told us.
    const own = dirname(process.execPath);
    const path = (process.env["PATH"] ?? "")
      .split(":")
      .filter((part) => part !== own && !part.includes("node_modules"));
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^npm_|^NODE|^INIT_CWD$/i.test(name)),
    );
    const data = join(folder, "data");
    const ports = ["--mqtts-port", "0", "--http-port", "0", "--https-port", "0"];
    const startedAt = performance.now();
    const since = (): number => (performance.now() - startedAt) / 1000;
    const child = start(["npm", "start", "--", "--data", data, "--bind", "127.0.0.1", ...ports], {
      cwd: checkout,
      group: true,
      env: { ...env, PATH: path.join(":") },
    });
    try {
      return await watch(child, data, since);
    } finally {
      // npm passes no signal on to what its script started: the platform is told itself.
      const pid = (runtimeOf(data) as { pid: number } | null)?.pid;
      if (pid !== undefined) process.kill(pid, "SIGTERM");
      await Promise.race([once(child, "close"), pause(10_000)]);
      await stop(child);
    }
  });
}

async function watch(child: ReturnType<typeof start>, data: string, since: () => number): Promise<Result> {
  let installing = 0;
  let install = 0;
  const printed = Promise.withResolvers<string>();
  createInterface(child.stdout!).on("line", (line) => {
    tell(`${since().toFixed(1)} s  ${line.replace(/code=\S+/, "code=…").replace(/(Token\s+)\S+/, "$1…")}`);
    if (line.startsWith("Installing packages")) installing = since();
    else if (installing > 0 && install === 0) install = since() - installing;
    const link = /http:\/\/\S+#code=\S+/.exec(stripVTControlCharacters(line))?.[0];
    if (link !== undefined) printed.resolve(link);
  });
  const total = await chartMoves(data, since);
  const seen = await seenMoving(await printed.promise, since);
  tell(`total ${total.toFixed(1)} s, installation ${install.toFixed(1)} s, in Chromium ${seen.toFixed(1)} s`);
  return { total, install, seen };
}

function runtimeOf(data: string): { readonly http: string; readonly pid: number } | null {
  try {
    return JSON.parse(readFileSync(join(data, "runtime.json"), "utf8")) as { http: string; pid: number };
  } catch {
    return null; // not there yet
  }
}

/** The chart's own query holds two points of the processor, a second apart. */
async function chartMoves(data: string, since: () => number): Promise<number> {
  while (since() * 1000 < DEADLINE_MS) {
    const runtime = runtimeOf(data);
    if (runtime !== null) {
      const token = readFileSync(join(data, "secrets", "admin-token"), "utf8").trim();
      const headers = { authorization: `Bearer ${token}` };
      const ask = async <T>(path: string): Promise<T | null> => {
        const response = await fetch(runtime.http + path, { headers });
        return response.ok ? ((await response.json()) as T) : null;
      };
      const fleet = await ask<{ things: { thingName: string }[] }>("/api/fleet");
      const thing = fleet?.things[0]?.thingName;
      const query = `/api/series?thing=${thing}&measurement=system&fields=cpu.percent&from=-1h&to=now`;
      const result = thing === undefined ? null : await ask<SeriesResult>(query);
      if ((result?.series[0]?.times.length ?? 0) >= 2) return since();
    }
    await pause(POLL_MS);
  }
  throw new Error("no chart moved in time");
}

/** Opens the printed link as a person does, goes to the thing, and waits until a live chart has grown. */
async function seenMoving(link: string, since: () => number): Promise<number> {
  const browser = await launchChromium();
  try {
    const { page } = await browser.open();
    await page.goto(link);
    await page.locator('a[href*="things/"]').first().click();
    await page.locator("canvas").first().waitFor();
    const picture = (): Promise<string> =>
      page.evaluate("document.querySelector('canvas').toDataURL()") as Promise<string>;
    const first = await picture();
    while ((await picture()) === first) await pause(POLL_MS);
    return since();
  } finally {
    await browser.close();
  }
}
