import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PlatformProcess, ROOT, temporaryFolder, until } from "./support/platform-process.ts";

const folder = temporaryFolder();
const readme = readFileSync(join(ROOT, "README.md"), "utf8");
let platform: PlatformProcess;

before(async () => {
  platform = await PlatformProcess.start(folder.path);
});

after(async () => {
  await platform?.stop();
  folder.remove();
});

/** The fenced block of the README that contains `marker`, with this test's program, port and platform put in. */
function block(marker: string): string {
  const blocks = readme.matchAll(/^```\n([\s\S]*?)^```$/gm);
  const found = [...blocks].map((match) => match[1]!).find((text) => text.includes(marker));
  assert.ok(found !== undefined, `the README has a block with '${marker}'`);
  return found
    .replaceAll("npm run tidewire --", `${process.execPath} ${join(ROOT, "bin/tidewire.mjs")}`)
    .replaceAll("-p 8883", `-p ${platform.mqttsPort}`);
}

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  TIDEWIRE_URL: platform.ready.http,
  TIDEWIRE_TOKEN: platform.ready.adminToken,
});

function run(script: string): string {
  const { status, stdout, stderr } = spawnSync("bash", ["-euc", script], {
    cwd: folder.path,
    encoding: "utf8",
    env: environment(),
  });
  assert.equal(status, 0, `${script}\n${stderr}`);
  return stdout;
}

test("the README's second device: added, and its agent reports", async () => {
  const [add, agent] = block("things add pump-7").trim().split("\n");
  assert.match(run(add!), /Added pump-7/);
  const child = spawn("bash", ["-c", `exec ${agent}`], { cwd: folder.path, env: environment(), stdio: "ignore" });
  await until("the agent's first reading", async () => {
    const { values } = await platform.api<{ values: unknown[] }>("GET", "/api/things/pump-7/latest");
    return values.length > 0;
  });
  child.kill("SIGTERM");
  await once(child, "exit");
  const [, pub] = block(" pub telemetry").trim().split("\n");
  run(pub!);
  await until("what was published as the device", async () => {
    const { values } = await platform.api<{ values: { field: string }[] }>("GET", "/api/things/pump-7/latest");
    return values.some(({ field }) => field === "pressure");
  });
});

test("the README's rule is put in force, and its reading from mosquitto_pub is stored and seen", async (context) => {
  if (spawnSync("sh", ["-c", "command -v mosquitto_pub"]).status !== 0) {
    context.skip("mosquitto_pub is not on this machine (Debian: mosquitto-clients)");
    return;
  }
  assert.match(run(block("pressure_high")), /pressure_high is in force/);
  run(block("mosquitto_pub"));
  await until("the reading", async () => {
    const { values } = await platform.api<{ values: { field: string; value: unknown }[] }>(
      "GET",
      "/api/things/pump-7/latest",
    );
    return values.some(({ field, value }) => field === "pressure" && value === 4.2);
  });
  run(block("mosquitto_pub").replace("4.2", "6.5"));
  await until("the alert", async () => {
    const { alerts } = await platform.api<{ alerts: { summary: string }[] }>("GET", "/api/alerts");
    return alerts.some(({ summary }) => summary === "pump-7: 6.5 bar");
  });
});

test("the README's query answers with the rule's reading, and its backup is restored", async () => {
  const query = block("tidewire -- query");
  assert.match(run(query), /pump-7/);
  const [backup, restore] = block("tidewire -- backup").trim().split("\n");
  assert.match(run(`${backup} --data ${platform.ready.dataDir}`), /files/);
  assert.match(run(restore!), /Restored .* to tidewire-again/);
  assert.ok(existsSync(join(folder.path, "tidewire-again", "registry.db")));
});

test("the README's window is put in force", async () => {
  run(block("warming.json"));
  const { rule } = await platform.api<{ rule: { sql: string; ruleDisabled: boolean } }>("GET", "/rules/warming");
  assert.match(rule.sql, /TUMBLE\('1 minute'\)/);
  assert.equal(rule.ruleDisabled, false);
});
