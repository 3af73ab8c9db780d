/** Programs under measurement: started on the cores they may use, looked at through /proc, and always ended. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const ROOT = join(import.meta.dirname, "..");
/** The program under measurement and all its processes; everything else is on the other core. */
export const SERVER_CORE = "0";
export const CLIENT_CORE = "1";
/** The kernel counts a process's time in hundredths of a second. */
const TICKS_PER_SECOND = 100;
const STOP_GRACE_MS = 15_000;

const running = new Set<ChildProcess>();
const groups = new WeakSet<ChildProcess>();
process.on("exit", () => {
  for (const child of running) {
    if (groups.has(child) && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    else child.kill("SIGKILL");
  }
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

export interface StartOptions {
  /** Pins it, its threads and its children to one core; without it, all cores. */
  readonly core?: string;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly stdout?: "pipe" | "ignore";
  /** It leads a process group, which ends with us: npm does not take along what its script started. */
  readonly group?: boolean;
  /** `inherit` by default: what a program complains about is part of the result. */
  readonly stderr?: "inherit" | "ignore";
}

export function start(command: readonly string[], options: StartOptions = {}): ChildProcess {
  const { core, cwd = ROOT, env = process.env, stdout = "pipe", stderr = "inherit", group = false } = options;
  const [program, ...args] = core === undefined ? command : ["taskset", "-c", core, ...command];
  const child = spawn(program!, args, { cwd, env, stdio: ["ignore", stdout, stderr], detached: group });
  if (group) groups.add(child);
  running.add(child);
  child.once("close", () => running.delete(child));
  return child;
}

/** Asks it to end, and makes it after a while. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_GRACE_MS);
  await closed;
  clearTimeout(timer);
}

export async function firstLine(child: ChildProcess): Promise<string> {
  const lines = createInterface(child.stdout!);
  const ended = once(child, "close").then(([code]) => Promise.reject(new Error(`it ended with ${String(code)}`)));
  const [line] = (await Promise.race([once(lines, "line"), ended])) as [string];
  ended.catch(() => {}); // it may end later
  return line;
}

/** All that it printed, once it has ended well. */
export async function outputOf(child: ChildProcess): Promise<string> {
  let output = "";
  child.stdout!.on("data", (bytes: Buffer) => (output += bytes.toString()));
  const [code] = (await once(child, "close")) as [number];
  if (code !== 0) throw new Error(`${child.spawnargs.join(" ")} ended with ${code}`);
  return output;
}

export interface Ready {
  readonly mqtts: string;
  readonly http: string;
  readonly adminToken: string;
  readonly dataDir: string;
  readonly pid: number;
  readonly listen: readonly string[];
}

export interface Platform extends Ready {
  readonly child: ChildProcess;
  /** From the start of the process to its ready line. */
  readonly readyAfterMs: number;
  api<T>(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<T>;
  stop(): Promise<void>;
}

/** The real `tidewire up`, with all its processes, on free ports. */
export async function startPlatform(
  data: string,
  options: StartOptions & { readonly flags?: readonly string[] } = {},
): Promise<Platform> {
  const ports = ["--mqtts-port", "0", "--http-port", "0", "--https-port", "0"];
  const own = ["--data", data, "--bind", "127.0.0.1", "--ready-json", ...ports, ...(options.flags ?? [])];
  const startedAt = performance.now();
  const child = start([process.execPath, join(ROOT, "bin/tidewire.mjs"), "up", ...own], options);
  const ready = JSON.parse(await firstLine(child)) as Ready;
  const readyAfterMs = performance.now() - startedAt;
  const api = async <T>(method: string, path: string, body?: unknown, headers = {}): Promise<T> => {
    const typed = body === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(ready.http + path, {
      method,
      headers: { authorization: `Bearer ${ready.adminToken}`, ...typed, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  };
  return { ...ready, child, readyAfterMs, api, stop: () => stop(child) };
}

/** It and all that it started. */
export function treeOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  const below = children === "" ? [] : children.split(" ").flatMap((child) => treeOf(Number(child)));
  return [pid, ...below];
}

/** Seconds of processor time so far, of the process and all that it started. */
export function cpuSeconds(pid: number): number {
  return treeOf(pid).reduce((sum, each) => sum + ownCpuSeconds(each), 0);
}

export function ownCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Seconds that its main thread stood ready while others, or its own other threads and processes, had the core. */
export function waitedSeconds(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e9;
}

export interface Memory {
  readonly pid: number;
  readonly command: string;
  /** MiB resident; pages shared with other processes count in each. */
  readonly rss: number;
  /** MiB where a shared page counts by its share. */
  readonly pss: number;
}

export function memoryOf(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const mib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1]) / 1024;
  const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(1).join(" ");
  return { pid, command, rss: mib("Rss"), pss: mib("Pss") };
}

export async function withFolder<T>(task: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "tidewire-bench-"));
  try {
    return await task(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** For people who watch; the table comes at the end. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}
