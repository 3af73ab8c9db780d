/** The platform on a disk that fills: it refuses in time, says so, and goes on by itself. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { addDevice, connectDevice } from "./support/device.ts";
import { PlatformProcess, runCli, temporaryFolder, until } from "./support/platform-process.ts";

const GIB = 2 ** 30;
const folder = temporaryFolder();
const ballast = join(folder.path, "ballast");
let platform: PlatformProcess | null = null;

after(async () => {
  rmSync(ballast, { force: true });
  await platform?.stop();
  folder.remove();
});

interface Health {
  readonly state: string;
  readonly parts: readonly { readonly name: string; readonly state: string; readonly detail: string }[];
}

test("a disk that is nearly full: publishes are refused with 0x97, health is red and says what to do, and heals by itself", async () => {
  const { bavail, bsize } = statfsSync(folder.path);
  // Half of the ballast of room above the limit: other programs write to this disk, too.
  const weight = Math.floor(Math.min((bavail * bsize) / 4, 4 * GIB));
  const least = Math.floor((bavail * bsize - weight / 2) / 2 ** 20);
  platform = await PlatformProcess.start(folder.path, ["--limit", `log.diskFreeBytesMin=${least}MiB`]);
  const running = platform;
  const device = await addDevice(running, folder.path, "meter-1");
  const client = await connectDevice(running, device);
  const publish = (n: number): Promise<unknown> =>
    client.publishAsync("telemetry/meter-1/m", JSON.stringify({ n }), { qos: 1 });
  const health = (): Promise<Health> => running.api<Health>("GET", "/api/health");

  for (let n = 0; n < 5; n++) await publish(n);
  assert.equal((await health()).state, "ok");
  execFileSync("fallocate", ["--length", String(weight), ballast]);
  await until("red health", async () => (await health()).state === "failed");
  const part = (await health()).parts.find(({ name }) => name === "log");
  assert.match(part?.detail ?? "", /^the disk has only \d+ MiB left\. Free disk space/);
  assert.equal(await running.metric("tidewire_log_full"), 1);
  await assert.rejects(publish(99), (error: { code?: number }) => error.code === 0x97);
  assert.equal(client.connected, true, "only the message is refused");

  rmSync(ballast);
  await until("green health", async () => (await health()).state === "ok");
  assert.equal(await running.metric("tidewire_log_full"), 0);
  assert.equal(await running.metric('tidewire_log_refused_total{reason="disk"}'), 1);
  for (let n = 5; n < 10; n++) await publish(n);
  await client.endAsync();
  const { stdout } = await runCli(["log", "export", "--topic", "telemetry/#", "--data", folder.path], folder.path);
  const numbers = [...stdout.matchAll(/\{\\"n\\":(\d+)\}/g)].map(([, n]) => Number(n));
  assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "what was acknowledged, and nothing that was refused");
});
