/**
 * What a connection costs the real platform: memory of an idle one, handshakes a second, and how long ten thousand devices
 * take to be back after a restart.
 */
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Interface } from "node:readline";
import { once } from "node:events";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { ROOT, memoryOf, ownCpuSeconds, pause, start, startPlatform, stop, tell, withFolder } from "../processes.ts";
import type { Platform } from "../processes.ts";
import { figure } from "../report.ts";
import type { Row } from "../report.ts";

const POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "iot:*", Resource: "*" }],
});

interface Opened {
  readonly open: number;
  /** Those whose session was there. */
  readonly sessions: number;
  readonly ms: number;
}

/** Clients in a process of their own; `news` resolves with the next time that all are in. */
class Clients {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(flags: readonly string[]) {
    this.#child = spawn(process.execPath, [join(import.meta.dirname, "connection-clients.ts"), ...flags], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface(this.#child.stdout!);
  }

  async allIn(): Promise<Opened> {
    const [line] = (await Promise.race([
      once(this.#lines, "line"),
      once(this.#child, "exit").then(() => Promise.reject(new Error("the clients ended"))),
    ])) as [string];
    return JSON.parse(line) as Opened;
  }

  async end(): Promise<void> {
    const gone = once(this.#child, "exit");
    this.#child.stdin!.end();
    await gone;
  }
}

/** One certificate that may connect as anybody. */
async function makeIdentity(platform: Platform, folder: string): Promise<string> {
  await platform.api("POST", "/policies/everything", { policyDocument: POLICY });
  const issued = await platform.api<{
    certificateArn: string;
    certificatePem: string;
    keyPair: { PrivateKey: string };
  }>("POST", "/keys-and-certificate?setAsActive=true", {});
  const { certificateArn, certificatePem, keyPair } = issued;
  const target = { target: certificateArn };
  await platform.api("PUT", "/target-policies/everything", target).catch(() => {}); // its answer has no body
  const { caPem } = await platform.api<{ caPem: string }>("GET", "/api/connection");
  const path = join(folder, "identity.json");
  writeFileSync(path, JSON.stringify({ key: keyPair.PrivateKey, cert: certificatePem, ca: caPem }));
  return path;
}

/** Resident KiB of the platform's first process after it has come to rest. */
async function resident(platform: Platform): Promise<number> {
  await pause(3000);
  process.kill(platform.pid, "SIGUSR2"); // `--expose-gc` and the listener below: a collection
  await pause(1500);
  return memoryOf(platform.pid).rss * 1024;
}

/** Connections that are there before the measurement. */
const FIRST = 4000;

const GC = join(import.meta.dirname, "collect-on-signal.mjs");

async function idle(kind: "plain" | "mTLS" | "WebSocket, mTLS", count: number): Promise<Row[]> {
  return withFolder(async (folder) => {
    const env = { ...process.env, NODE_OPTIONS: `--expose-gc --import ${GC}` };
    const platform = await startPlatform(join(folder, "data"), {
      env,
      flags: ["--listen", "mqtt://127.0.0.1:0?auth=none"],
    });
    const secure = kind !== "plain";
    const ports = {
      plain: platform.listen[0]!,
      mTLS: platform.mqtts,
      "WebSocket, mTLS": (platform as unknown as { https: string }).https,
    };
    const port = ports[kind].slice(ports[kind].lastIndexOf(":") + 1);
    const identity = secure ? ["--identity", await makeIdentity(platform, folder)] : [];
    const web = kind.startsWith("Web") ? ["--websocket"] : [];
    // V8's young generation grows to some 50 MB with the first few thousand, whatever comes then: it is no connection's cost.
    const first = new Clients(["--port", port, "--count", `${FIRST}`, "--from", "100000", ...identity, ...web]);
    await first.allIn();
    const before = await resident(platform);
    const clients = new Clients(["--port", port, "--count", `${count}`, ...identity, ...web]);
    const cpuBefore = ownCpuSeconds(platform.pid);
    const opened = await clients.allIn();
    const cpu = ownCpuSeconds(platform.pid) - cpuBefore;
    const after = await resident(platform);
    const each = (after - before) / count;
    tell(`${kind}: ${figure(each)} KiB each; ${count} in ${figure(opened.ms)} ms`);
    await clients.end();
    await first.end();
    await stop(platform.child);
    const memory: Row = {
      claim: `memory of an idle connection, ${kind}`,
      unit: "KiB",
      must: { below: secure ? 75 : 6 },
      runs: [each],
      peer: `${count} connections`,
    };
    const rate: Row = {
      claim: `connections a second of the platform's own processor time, ${kind}`,
      unit: "/s",
      must: null,
      runs: [count / cpu],
      peer: `${figure(count / (opened.ms / 1000))}/s by the clock, with the clients on the same two cores`,
    };
    return [memory, rate];
  });
}

async function reconnect(count: number): Promise<Row[]> {
  return withFolder(async (folder) => {
    const data = join(folder, "data");
    const flags = ["--listen", "mqtt://127.0.0.1:0?auth=none"];
    const platform = await startPlatform(data, { flags });
    const identity = await makeIdentity(platform, folder);
    const port = platform.mqtts.slice(platform.mqtts.lastIndexOf(":") + 1);
    const clients = new Clients(["--port", port, "--count", `${count}`, "--identity", identity, "--kept", "--again"]);
    await clients.allIn();
    const back = clients.allIn();
    platform.child.kill("SIGKILL");
    await once(platform.child, "exit");
    const again = start([
      process.execPath,
      join(ROOT, "bin/tidewire.mjs"),
      "up",
      "--data",
      data,
      "--bind",
      "127.0.0.1",
      "--ready-json",
      "--mqtts-port",
      port,
      "--http-port",
      "0",
      "--https-port",
      "0",
    ]);
    const { ms, sessions } = await back;
    tell(`${count} back after ${figure(ms / 1000)} s, ${sessions} sessions present`);
    await clients.end();
    await stop(again);
    return [
      {
        claim: `${count} mTLS clients back after kill -9 and restart`,
        unit: "s",
        must: { below: 60 },
        runs: [ms / 1000],
        peer: `${sessions} sessions present`,
      },
    ];
  });
}

/** `count` idle connections of each kind, and `again` devices that come back. */
export async function connections(count: number, again: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const kind of ["plain", "mTLS", "WebSocket, mTLS"] as const) rows.push(...(await idle(kind, count)));
  rows.push(...(await reconnect(again)));
  return rows;
}
