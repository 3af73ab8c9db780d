import assert from "node:assert/strict";
import { appendFileSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { addDevice, connectDevice } from "./support/device.ts";
import type { Device } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
let platform: PlatformProcess;
let device: Device;

before(async () => {
  platform = await PlatformProcess.start(folder.path);
  device = await addDevice(platform, folder.path, "meter-1");
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

/** One acknowledged message per batch: the client waits for each PUBACK before it sends the next. */
async function publish(from: number, count: number): Promise<void> {
  const client = await connectDevice(platform, device);
  for (let n = from; n < from + count; n++) {
    await client.publishAsync("telemetry/meter-1/m", JSON.stringify({ ts: 1_790_000_000_000 + n * 1000, n }), {
      qos: 1,
    });
  }
  await client.endAsync();
}

async function storedNumbers(): Promise<readonly number[]> {
  const path = "/api/series?thing=meter-1&measurement=m&fields=n&from=1790000000000&to=1790001000000";
  const { series } = await platform.api<{ series: { values: number[] }[] }>("GET", path);
  return series[0]?.values ?? [];
}

function newestSegment(): string {
  const segments = readdirSync(join(folder.path, "log")).filter((name) => name.endsWith(".seg"));
  return join(folder.path, "log", segments.sort().at(-1)!);
}

function platformLog(): string {
  return readFileSync(join(folder.path, "platform.log"), "utf8");
}

const range = (below: number): number[] => Array.from({ length: below }, (_, n) => n);

test("a half-written record at the end of a segment is cut off at recovery and told; everything acknowledged is there", async () => {
  await publish(0, 20);
  await platform.kill();
  const segment = newestSegment();
  const bytes = readFileSync(segment);
  // What a crash leaves: the beginning of a batch, here that of the last one written.
  appendFileSync(segment, bytes.subarray(bytes.length - 90, bytes.length - 30));
  platform = await PlatformProcess.start(folder.path);
  await until("20 stored readings", async () => (await storedNumbers()).length === 20);
  assert.deepEqual(await storedNumbers(), range(20));
  assert.match(platformLog(), /half-written|unfinished|cut off/);
  await publish(20, 5);
  await until("25 stored readings", async () => (await storedNumbers()).length === 25);
});

test("a damaged record in the middle is reported, skipped and never served; what lies around it is", async () => {
  await platform.stop();
  const damaged = await damageMiddle();
  rmSync(join(folder.path, "telemetry.duckdb")); // the store is a view: it is made again from the log
  const verify = await runCli(["log", "verify", "--data", folder.path], folder.path);
  assert.equal(verify.code, 6);
  assert.match(verify.stdout, /DAMAGED at byte \d+/);
  platform = await PlatformProcess.start(folder.path);
  const numbers = await until("24 stored readings", async () => {
    const found = await storedNumbers();
    return found.length === 24 && found;
  });
  assert.equal(numbers.includes(damaged), false, `reading ${damaged} was damaged and must not be served`);
  assert.deepEqual(
    numbers,
    range(25).filter((n) => n !== damaged),
  );
  await until("the report", async () => /damage/i.test(platformLog()));
  await publish(25, 1);
  await until("new readings behind the damage", async () => (await storedNumbers()).includes(25));
});

/** Flips one bit in the payload of reading 10, in whichever segment it lies. Returns its number. */
async function damageMiddle(): Promise<number> {
  const victim = 10;
  for (const name of readdirSync(join(folder.path, "log")).filter((file) => file.endsWith(".seg"))) {
    const path = join(folder.path, "log", name);
    const bytes = readFileSync(path);
    const at = bytes.indexOf(`"n":${victim}}`);
    if (at < 0) continue;
    bytes[at + 4]! ^= 1;
    writeFileSync(path, bytes);
    return victim;
  }
  throw new Error("the reading to damage is not in the log");
}
