import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { PlatformProcess, runCli, temporaryFolder } from "./support/platform-process.ts";
import type { Exit } from "./support/platform-process.ts";

const PORTS = ["--bind", "127.0.0.1", "--mqtts-port", "0", "--http-port", "0", "--https-port", "0"];

/** One clear sentence, what to do next, the stable code, an exit status of its own. No stack trace. */
function assertExplains(exit: Exit, code: string, status: number, sentence: RegExp): void {
  assert.equal(exit.code, status, exit.stderr);
  assert.match(exit.stderr, sentence);
  assert.ok(exit.stderr.includes(code), exit.stderr);
  assert.doesNotMatch(exit.stderr, /\n\s+at /, "no stack trace");
  assert.ok(exit.stderr.trim().split("\n").length <= 4, exit.stderr);
}

function scenario(name: string, run: (folder: string) => Promise<void>): void {
  void test(name, async () => {
    const folder = temporaryFolder();
    try {
      await run(folder.path);
    } finally {
      folder.remove();
    }
  });
}

scenario("an unknown key in the platform's configuration: named, with the nearest known one", async (folder) => {
  writeFileSync(join(folder, "tidewire.yaml"), "httpPrt: 8080\n");
  const exit = await runCli(["up", "--config", "tidewire.yaml"], folder);
  assertExplains(exit, "CONFIG_KEY_UNKNOWN", 2, /'httpPrt'[\s\S]*httpPort/);
});

scenario("a wrong value in the configuration", async (folder) => {
  writeFileSync(join(folder, "tidewire.yaml"), "httpPort: many\n");
  assertExplains(await runCli(["up", "--config", "tidewire.yaml"], folder), "CONFIG_VALUE_INVALID", 2, /httpPort/);
});

scenario("a configuration that is not there", async (folder) => {
  assertExplains(
    await runCli(["up", "--config", "nowhere.yaml"], folder),
    "CONFIG_FILE_UNREADABLE",
    2,
    /nowhere\.yaml/,
  );
});

scenario("an unknown key in an agent's configuration", async (folder) => {
  writeFileSync(join(folder, "agent.yaml"), "thing: a\nbrokr: mqtts://127.0.0.1:1\n");
  assertExplains(
    await runCli(["agent", "--config", "agent.yaml"], folder),
    "CONFIG_KEY_UNKNOWN",
    2,
    /'brokr'[\s\S]*broker/,
  );
});

scenario("a port in use: which, and which option changes it", async (folder) => {
  const blocker = createServer().listen(0, "127.0.0.1");
  await once(blocker, "listening");
  const { port } = blocker.address() as { port: number };
  for (const option of ["--mqtts-port", "--http-port", "--https-port"]) {
    const others = PORTS.filter((word, i) => word !== option && PORTS[i - 1] !== option);
    const exit = await runCli(["up", "--data", join(folder, "data"), ...others, option, String(port)], folder);
    assertExplains(exit, "PORT_IN_USE", 3, new RegExp(`${port}[\\s\\S]*${option}`));
  }
  blocker.close();
});

scenario("a data folder that is a file", async (folder) => {
  writeFileSync(join(folder, "data"), "");
  assertExplains(await runCli(["up", "--data", "data", ...PORTS], folder), "DATA_FOLDER_UNUSABLE", 3, /data/);
});

scenario("a data folder where none can be made: refused at once, as everywhere else", async (folder) => {
  const exit = await runCli(["up", "--data", "/proc/tidewire", ...PORTS], folder);
  assertExplains(exit, "DATA_FOLDER_UNUSABLE", 3, /\/proc\/tidewire[\s\S]*another folder with --data/);
  const backup = await runCli(["backup", "--to", "/proc/backups", "--data", folder], folder);
  assertExplains(backup, "BACKUP_UNUSABLE", 3, /\/proc\/backups/);
});

scenario("a data folder that another platform uses: its process is named", async (folder) => {
  const platform = await PlatformProcess.start(folder);
  const exit = await runCli(["up", "--data", folder, ...PORTS], folder);
  assertExplains(exit, "DATA_FOLDER_LOCKED", 3, new RegExp(String(platform.ready.pid)));
  await platform.stop();
});

scenario("a damaged secret: named, never replaced by a new one", async (folder) => {
  const first = await PlatformProcess.start(folder);
  await first.stop();
  writeFileSync(join(folder, "secrets", "ca.crt"), "-----BEGIN CERTIFICATE-----\nrubbish\n");
  assertExplains(await runCli(["up", "--data", folder, ...PORTS], folder), "SECRET_DAMAGED", 3, /ca\.crt/);
});

scenario("a wrong token: 401 from the API, exit 4 from the command line", async (folder) => {
  const platform = await PlatformProcess.start(folder);
  const response = await fetch(`${platform.ready.http}/api/health`, { headers: { authorization: "Bearer wrong" } });
  assert.equal(response.status, 401);
  assert.equal(((await response.json()) as { code: string }).code, "UNAUTHORIZED");
  const exit = await runCli(["things", "list", "--url", platform.ready.http, "--token", "wrong"], folder);
  assertExplains(exit, "UNAUTHORIZED", 4, /token/);
  await platform.stop();
});

scenario("no platform there: says so and how to start one", async (folder) => {
  const exit = await runCli(["things", "list", "--url", "http://127.0.0.1:1", "--token", "x"], folder);
  assertExplains(exit, "PLATFORM_UNREACHABLE", 5, /127\.0\.0\.1:1/);
});

scenario("a wrong command: usage and exit 2", async (folder) => {
  const exit = await runCli(["upp"], folder);
  assert.equal(exit.code, 2);
  assert.match(exit.stderr, /up/);
});

scenario("--help and --version answer on standard output with exit 0", async (folder) => {
  const help = await runCli(["--help"], folder);
  assert.equal(help.code, 0);
  for (const verb of ["up", "agent", "things", "rules"]) assert.match(help.stdout, new RegExp(`\\b${verb}\\b`));
  const version = await runCli(["--version"], folder);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
});

scenario("an unreadable data folder is refused (as a user who is not root)", async (folder) => {
  const data = join(folder, "data");
  mkdirSync(data);
  chmodSync(data, 0o000);
  const { openDataFolder } = await import("../../src/adapters/data-folder.ts");
  const asNobody = process.getuid?.() === 0;
  if (asNobody) process.seteuid?.("nobody");
  try {
    assert.throws(() => openDataFolder(data), { code: "DATA_FOLDER_UNUSABLE" });
  } finally {
    if (asNobody) process.seteuid?.(0);
    chmodSync(data, 0o700);
  }
});
