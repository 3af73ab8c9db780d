import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { kib } from "../../src/base/mod.ts";
import { bundleAgent } from "../../tools/bundle-agent.ts";
import { addDevice } from "./support/device.ts";
import { PlatformProcess, temporaryFolder, until } from "./support/platform-process.ts";

test("the agent as one file, in a folder without any package, reports to the platform", async () => {
  const folder = temporaryFolder();
  const platform = await PlatformProcess.start(folder.path);
  const device = await addDevice(platform, folder.path, "tiny-1");
  const bundle = await bundleAgent(join(folder.path, "agent.mjs"));
  assert.ok(statSync(bundle).size < kib(600), `${statSync(bundle).size} bytes`);

  const agent = spawn(process.execPath, [bundle, "--config", join(device.folder, "agent.yaml")], {
    cwd: folder.path,
    stdio: ["ignore", "ignore", "inherit"],
  });
  await until("the first reading", async () => {
    const { values } = await platform.api<{ values: unknown[] }>("GET", "/api/things/tiny-1/latest");
    return values.length > 0;
  });
  agent.kill("SIGTERM");
  assert.deepEqual(await once(agent, "exit"), [0, null]);

  const wrong = spawn(process.execPath, [bundle, "--confg", "x"], { cwd: folder.path, stdio: "ignore" });
  assert.deepEqual(await once(wrong, "exit"), [2, null]);
  await platform.stop();
  folder.remove();
});
