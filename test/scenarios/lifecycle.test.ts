import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import type { TestOptions } from "node:test";
import { WebSocket } from "ws";
import { PlatformProcess, ROOT, processesOf, runCli, temporaryFolder, until } from "./support/platform-process.ts";

/** What a machine brings along, if it does. */
const own = "/usr/bin/node";
const oldNode = { skip: existsSync(own) ? false : `no ${own} on this machine` };
const linux = { skip: existsSync("/proc/self/fd") ? false : "no /proc on this machine" };

function scenario(name: string, run: (folder: string) => Promise<void>, options: TestOptions = linux): void {
  void test(name, options, async () => {
    const folder = temporaryFolder();
    try {
      await run(folder.path);
    } finally {
      for (const pid of processesOf(folder.path)) if (pid !== process.pid) process.kill(pid, "SIGKILL");
      folder.remove();
    }
  });
}

/** Nothing runs, nothing is locked: the same folder serves at once again. */
async function assertNothingLeft(folder: string): Promise<void> {
  await until("no process is left", async () => processesOf(folder).length === 0);
  const again = await PlatformProcess.start(folder);
  await again.stop();
}

function logOf(folder: string): string {
  return readFileSync(join(folder, "platform.log"), "utf8");
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  scenario(
    `${signal}: an orderly end with status 0, with viewers that do not answer and requests half sent`,
    async (folder) => {
      const platform = await PlatformProcess.start(folder, ["--first-device"]);
      const { http, adminToken } = platform.ready;
      const headers = { authorization: `Bearer ${adminToken}` };
      const viewer = new WebSocket(`${http.replace("http", "ws")}/api/live`, { headers });
      await once(viewer, "open");
      viewer.pause();
      viewer.on("error", () => {});
      const slow = connect(Number(new URL(http).port), "127.0.0.1");
      slow.on("error", () => {}).write("POST /rules/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n");
      await platform.api("GET", "/api/health");
      const { code, stderr } = await platform.end(signal);
      viewer.terminate();
      slow.destroy();
      assert.equal(code, 0, stderr);
      assert.equal(existsSync(join(folder, "runtime.json")), false);
      await assertNothingLeft(folder);
    },
    { ...linux, timeout: 25_000 }, // a part that waits for its peer's own patience would take 30 s
  );
}

scenario("Ctrl-C that arrives twice, as npm passes it on: still an orderly end", async (folder) => {
  const platform = await PlatformProcess.start(folder);
  process.kill(platform.ready.pid, "SIGINT");
  const { code } = await platform.end("SIGINT");
  assert.equal(code, 0);
  assert.match(logOf(folder), /"The platform stops\."/);
});

scenario(
  "a port that is in use, found after the store was started: no process and no lock is left behind",
  async (folder) => {
    const blocker = createServer().listen(0, "127.0.0.1");
    await once(blocker, "listening");
    const { port } = blocker.address() as { port: number };
    const free = ["--bind", "127.0.0.1", "--mqtts-port", "0", "--http-port", "0"];
    const exit = await runCli(
      ["up", "--data", folder, ...free, "--https-port", String(port), "--first-device"],
      folder,
    );
    blocker.close();
    assert.equal(exit.code, 3, exit.stderr);
    assert.match(exit.stderr, /PORT_IN_USE/);
    assert.match(logOf(folder), /The platform cannot start/);
    await assertNothingLeft(folder);
  },
);

scenario(
  "SIGTERM at many moments of the start: nothing is left behind, and the next start is a good one",
  async (folder) => {
    for (const milestone of ["lock", "registry.db", "broker.db", "telemetry.duckdb", "runtime.json"]) {
      const args = [
        "up",
        "--data",
        folder,
        "--bind",
        "127.0.0.1",
        "--mqtts-port",
        "0",
        "--http-port",
        "0",
        "--https-port",
        "0",
      ];
      const child = spawn(process.execPath, [join(ROOT, "src/main.ts"), ...args], { stdio: "ignore" });
      const exited = once(child, "exit");
      await until(`${milestone} is there`, async () => existsSync(join(folder, milestone)) || child.exitCode !== null);
      child.kill("SIGTERM");
      await exited;
      await assertNothingLeft(folder);
    }
  },
);

const BOOM = [
  "--import",
  'data:text/javascript,process.on("SIGUSR2",()=>{throw new Error("boom at /secret/place")});process.on("SIGPWR",()=>{Promise.reject(new Error("boom in a promise"))})',
];

for (const [what, signal] of [
  ["an exception that nobody caught", "SIGUSR2"],
  ["a rejection that nobody handled", "SIGPWR"],
] as const) {
  scenario(`${what}: one sentence, the stack in the log, exit 70, nothing left behind`, async (folder) => {
    const platform = await PlatformProcess.start(folder, ["--first-device"], BOOM);
    const { code, stderr } = await platform.end(signal);
    assert.equal(code, 70, stderr);
    assert.match(stderr, /^tidewire: .*Tidewire failed unexpectedly: boom/m);
    assert.doesNotMatch(stderr, /\n\s+at /);
    const line = logOf(folder)
      .split("\n")
      .find((candidate) => candidate.includes("Nobody caught"))!;
    assert.match((JSON.parse(line) as { error: { stack: string } }).error.stack, /boom[\s\S]+at /);
    await assertNothingLeft(folder);
  });
}

scenario("whoever read the output went away: the platform goes on, also with --verbose", async (folder) => {
  const platform = await PlatformProcess.start(folder, ["--verbose"]);
  platform.closeOutputs();
  for (let i = 0; i < 3; i++) {
    await platform.api("POST", `/things/pump-${i}`, {}); // an audit line each
    await platform.api("POST", "/api/session", { token: "wrong" }).catch(() => {});
  }
  assert.equal((await platform.api<{ state: string }>("GET", "/api/health")).state, "ok");
  assert.equal((await platform.end("SIGTERM")).code, 0);
});

scenario(
  "platform killed with SIGKILL: its agent records on, the next platform takes it over, and ends it in the end",
  async (folder) => {
    const first = await PlatformProcess.start(folder, ["--first-device"]);
    const thing = await until("the device is there", async () => {
      const { things } = await first.api<{ things: { thingName: string; presence: { state: string } }[] }>(
        "GET",
        "/api/fleet",
      );
      return things.find((candidate) => candidate.presence.state === "online")?.thingName;
    });
    await first.kill();
    const lock = join(folder, "devices", thing, "data", "lock.pid");
    const agent = Number(readFileSync(lock, "utf8"));
    assert.ok(processesOf(folder).includes(agent), "the agent lives");
    const second = await PlatformProcess.start(folder, ["--first-device", ...first.samePorts()]);
    await until("it is online again", async () => {
      const detail = await second.api<{ presence: { state: string } }>("GET", `/api/things/${thing}`);
      return detail.presence.state === "online";
    });
    assert.equal(Number(readFileSync(lock, "utf8")), agent, "the same agent");
    assert.match(logOf(folder), /runs already/);
    await second.kill();
    // On other ports the old agent would knock in vain.
    const third = await PlatformProcess.start(folder, ["--first-device"]);
    await until("an agent that knows the way", async () => {
      const detail = await third.api<{ presence: { state: string } }>("GET", `/api/things/${thing}`);
      return detail.presence.state === "online";
    });
    assert.notEqual(Number(readFileSync(lock, "utf8")), agent);
    assert.equal((await third.end("SIGTERM")).code, 0);
    await assertNothingLeft(folder);
  },
);

scenario(
  "bin/tidewire.mjs on this machine's own Node: exit status, output and signals pass through",
  async (folder) => {
    const bin = join(ROOT, "bin/tidewire.mjs");
    const run = async (args: readonly string[]): Promise<{ code: number | null; out: string }> => {
      const child = spawn(own, [bin, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
      let out = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (chunk: Buffer) => (out += chunk.toString()));
      const [code] = (await once(child, "close")) as [number | null];
      return { code, out };
    };
    assert.deepEqual([(await run(["--version"])).code, (await run(["upp"])).code], [0, 2]);
    assert.equal((await run(["things", "list", "--url", "http://127.0.0.1:1", "--token", "x"])).code, 5);
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const ports = ["--bind", "127.0.0.1", "--mqtts-port", "0", "--http-port", "0", "--https-port", "0"];
      const child = spawn(own, [bin, "up", "--data", folder, "--ready-json", ...ports], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const exited = once(child, "exit");
      await once(child.stdout, "data");
      child.kill(signal);
      assert.deepEqual(await exited, [0, null], signal);
      await until("no process is left", async () => processesOf(folder).length === 0);
    }
  },
  oldNode,
);
