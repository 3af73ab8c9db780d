/** A real `tidewire up` as a child process, for scenario tests: started, asked, killed, started again on the same folder. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const ROOT = join(import.meta.dirname, "../../..");
const MAIN = join(ROOT, "src/main.ts");

/** What `--ready-json` prints. */
export interface Ready {
  readonly event: "ready";
  readonly mqtts: string;
  readonly https: string;
  readonly http: string;
  readonly adminToken: string;
  readonly dataDir: string;
  readonly pid: number;
  readonly listen: readonly string[];
}

export interface Exit {
  readonly code: number | null;
  readonly stderr: string;
  readonly stdout: string;
}

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "tidewire-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export class PlatformProcess {
  readonly ready: Ready;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #stderr: () => string;

  constructor(child: ChildProcess, exited: Promise<unknown>, ready: Ready, stderr: () => string) {
    this.#child = child;
    this.#exited = exited;
    this.ready = ready;
    this.#stderr = stderr;
  }

  /** Ports 0 take free ones; pass the earlier ports to come back where the devices look. */
  static start(
    data: string,
    options: readonly string[] = [],
    nodeOptions: readonly string[] = [],
    program: string = MAIN,
  ): Promise<PlatformProcess> {
    return PlatformProcess.begin(data, options, nodeOptions, program).ready;
  }

  /** As `start`, for who wants to end it before it is ready; `ready` rejects then. */
  static begin(
    data: string,
    options: readonly string[] = [],
    nodeOptions: readonly string[] = [],
    program: string = MAIN,
  ): { readonly ready: Promise<PlatformProcess>; kill(): Promise<void> } {
    const ports = options.includes("--mqtts-port")
      ? []
      : ["--mqtts-port", "0", "--http-port", "0", "--https-port", "0"];
    const up = ["up", "--data", data, "--bind", "127.0.0.1", "--ready-json", ...ports, ...options];
    const child = spawn(process.execPath, [...nodeOptions, program, ...up], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd: data,
    });
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const exited = once(child, "exit");
    const first = Promise.race([
      once(createInterface(child.stdout), "line").then(([line]) => line as string),
      exited.then(([code]) =>
        Promise.reject(new Error(`the platform ended with ${String(code)} before it was ready:\n${stderr}`)),
      ),
    ]);
    const ready = first.then((line) => new PlatformProcess(child, exited, JSON.parse(line) as Ready, () => stderr));
    ready.catch(() => {}); // who begins and does not wait is not interested
    return {
      ready,
      kill: async () => {
        child.kill("SIGKILL");
        await exited;
      },
    };
  }

  /** Options that make a restart listen on the same ports. */
  samePorts(): readonly string[] {
    const port = (url: string): string => new URL(url).port;
    return [
      "--mqtts-port",
      port(this.ready.mqtts.replace("mqtts:", "https:")),
      "--http-port",
      port(this.ready.http),
      "--https-port",
      port(this.ready.https),
    ];
  }

  get mqttsPort(): number {
    return Number(new URL(this.ready.mqtts.replace("mqtts:", "https:")).port);
  }

  /** Asks the HTTP API as the administrator. Throws on anything but 2xx. */
  async api<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    const response = await fetch(`${this.ready.http}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.ready.adminToken}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? null : response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text) as T;
  }

  /** The value of one metric line, e.g. `tidewire_x_total{reason="y"}`; 0 where it is not there yet. */
  async metric(name: string): Promise<number> {
    const text = await this.api<string>("GET", "/metrics");
    const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
    return line === undefined ? 0 : Number(line.slice(name.length + 1));
  }

  /** Sends a signal; resolves with the exit status and what was printed to standard error. */
  async end(signal: NodeJS.Signals): Promise<{ readonly code: number | null; readonly stderr: string }> {
    this.#child.kill(signal);
    return this.exit();
  }

  async exit(): Promise<{ readonly code: number | null; readonly stderr: string }> {
    await this.#exited;
    return { code: this.#child.exitCode, stderr: this.#stderr() };
  }

  /** As the reader of a pipe that goes away. */
  closeOutputs(): void {
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#exited;
  }
}

/** Runs the command line to its end. */
export async function runCli(args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Exit> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

/** Processes whose command line or environment of files names this folder: what a start or an end left behind. */
export function processesOf(folder: string): readonly number[] {
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.filter((pid) => {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder)) return true;
      return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(folder));
    } catch {
      return false; // it ended meanwhile, or is not ours
    }
  });
}

/** Asks again until the answer is there. Throws with the last answer after `tries`. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false>,
  tries = 300,
): Promise<T> {
  let last: unknown;
  for (let i = 0; i < tries; i++) {
    try {
      last = await ask();
      if (last !== null && last !== undefined && last !== false) return last as T;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited in vain: ${what} (last: ${last instanceof Error ? last.message : JSON.stringify(last)})`);
}
