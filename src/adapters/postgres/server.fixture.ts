/** A real PostgreSQL for one test file: its own folder, a socket and a port on loopback, ended with the test process. */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ServerOptions {
  /** Waits for the disk as in production; for tests that kill. Default: false, which is faster. */
  readonly durable?: boolean;
  /** With a certificate of its own for 127.0.0.1, and for no name. */
  readonly tls?: boolean;
  /** Further lines of postgresql.conf. */
  readonly settings?: readonly string[];
}

const PASSWORD = "correct horse";
const START_TRIES = 200;
const PAUSE_MS = 50;

/** Why there is no PostgreSQL to test with; null where there is one. */
export function postgresMissing(): string | null {
  return binaries() === null ? "PostgreSQL is not installed (Debian: postgresql)" : null;
}

export class PostgresServer {
  readonly folder: string;
  readonly port: number;
  /** Of the user and database `tidewire`. */
  readonly password = PASSWORD;
  readonly #settings: readonly string[];
  #process: ChildProcess | null = null;
  readonly #removeAtExit: () => void;

  private constructor(folder: string, port: number, settings: readonly string[]) {
    this.folder = folder;
    this.port = port;
    this.#settings = settings;
    this.#removeAtExit = () => {
      this.#process?.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    };
    process.on("exit", this.#removeAtExit);
  }

  static async start(options: ServerOptions = {}): Promise<PostgresServer> {
    const folder = mkdtempSync(join(tmpdir(), "tidewire-pg-"));
    const user = serverUser();
    if (user !== null) chownSync(folder, user.uid, user.gid);
    const passwordFile = join(folder, "password");
    writeFileSync(passwordFile, PASSWORD, { mode: 0o644 });
    const data = [
      "-D",
      join(folder, "data"),
      "-U",
      "tidewire",
      "--pwfile",
      passwordFile,
      "--no-sync",
      "--no-instructions",
    ];
    const made = runAs("initdb", [
      ...data,
      "-E",
      "UTF8",
      "--locale=C.UTF-8",
      "--auth-local=trust",
      "--auth-host=scram-sha-256",
    ]);
    const { status, stderr } = spawnSync(made.command, made.args, { encoding: "utf8", cwd: folder });
    if (status !== 0) throw new Error(`initdb failed: ${stderr}`);
    rmSync(passwordFile);
    const tls = options.tls === true ? certify(folder, user) : [];
    const speed = options.durable === true ? [] : ["fsync=off", "full_page_writes=off"];
    const small = ["shared_buffers=64MB", "max_connections=30", "autovacuum=off", "max_wal_size=1GB"];
    const server = new PostgresServer(folder, await freePort(), [
      ...small,
      ...speed,
      ...tls,
      ...(options.settings ?? []),
    ]);
    await server.up();
    const { default: pg } = await import("pg");
    const client = new pg.Client({ host: folder, port: server.port, user: "tidewire", database: "postgres" });
    await client.connect();
    await client.query("CREATE DATABASE tidewire");
    await client.end();
    return server;
  }

  /** Of a server with `tls`. */
  get caFile(): string {
    return join(this.folder, "server.crt");
  }

  /** Through the socket, where no password is asked for. */
  url(parameters: Readonly<Record<string, string>> = {}): string {
    const query = new URLSearchParams({ host: this.folder, ...parameters });
    return `postgres://tidewire@:${this.port}/tidewire?${query}`.replace("@:", "@localhost:");
  }

  /** Through TCP, where the password is asked for. */
  tcpUrl(parameters: Readonly<Record<string, string>> = {}): string {
    const query = new URLSearchParams(parameters).toString();
    return `postgres://tidewire@127.0.0.1:${this.port}/tidewire${query === "" ? "" : `?${query}`}`;
  }

  async up(): Promise<void> {
    for (let tries = 0; ; tries++) {
      const failure = await this.#tryUp();
      if (failure === null) return;
      // What a killed postmaster leaves running needs a moment to notice, and holds the shared memory until then.
      if (tries >= START_TRIES) throw new Error(`PostgreSQL does not start: ${failure}`);
      await pause();
    }
  }

  /** Of the first process. */
  get pid(): number {
    return this.#process!.pid!;
  }

  /** As a power failure of the server's machine, but for the disk. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    const pids = [child.pid!, ...childrenOf(child.pid!)];
    const gone = child.exitCode === null && child.signalCode === null ? once(child, "exit") : null;
    for (const pid of pids) signal(pid, "SIGKILL");
    await gone;
    this.#process = null;
    while (pids.some((pid) => existsSync(`/proc/${pid}/cwd`))) await pause();
  }

  /** Stands still: connections stay open and nothing answers. */
  freeze(): void {
    const pid = this.#process!.pid!;
    for (const one of [pid, ...childrenOf(pid)]) signal(one, "SIGSTOP");
  }

  thaw(): void {
    const pid = this.#process!.pid!;
    for (const one of [...childrenOf(pid), pid]) signal(one, "SIGCONT");
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child !== null) {
      const gone = once(child, "exit");
      child.kill("SIGQUIT");
      await gone;
      this.#process = null;
    }
  }

  async remove(): Promise<void> {
    await this.stop();
    process.off("exit", this.#removeAtExit);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #tryUp(): Promise<string | null> {
    const settings = [`port=${this.port}`, "listen_addresses=127.0.0.1", `unix_socket_directories=${this.folder}`];
    const options = [...settings, ...this.#settings].flatMap((setting) => ["-c", setting]);
    const { command, args } = runAs("postgres", ["-D", join(this.folder, "data"), ...options]);
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"], cwd: this.folder });
    let said = "";
    return new Promise((resolve) => {
      child.on("error", (error) => resolve(error.message));
      child.on("exit", () => resolve(said));
      child.stderr.on("data", (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-4000);
        if (!said.includes("ready to accept connections")) return;
        this.#process = child;
        resolve(null);
      });
    });
  }
}

/** PostgreSQL refuses to run as root; Debian's package makes a user for it. */
function serverUser(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith("postgres:"));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined) throw new Error("there is no user postgres to run the server as");
  return { uid: Number(uid), gid: Number(gid) };
}

function certify(folder: string, user: ReturnType<typeof serverUser>): readonly string[] {
  const [key, certificate] = [join(folder, "server.key"), join(folder, "server.crt")];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const name = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"];
  const { status, stderr } = spawnSync("openssl", [
    "req",
    "-x509",
    ...curve,
    ...name,
    "-keyout",
    key,
    "-out",
    certificate,
  ]);
  if (status !== 0) throw new Error(`openssl failed: ${stderr.toString()}`);
  if (user !== null) for (const file of [key, certificate]) chownSync(file, user.uid, user.gid);
  return ["ssl=on", `ssl_cert_file=${certificate}`, `ssl_key_file=${key}`];
}

/** The server ends with this process, however that ends. */
function runAs(program: string, args: readonly string[]): { readonly command: string; readonly args: string[] } {
  const user = serverUser();
  const identity = user === null ? [] : ["--reuid", String(user.uid), "--regid", String(user.gid), "--clear-groups"];
  return { command: "setpriv", args: [...identity, "--pdeathsig", "QUIT", join(binaries()!, program), ...args] };
}

/** Debian keeps the programs of each major version apart, and off the path. */
function binaries(): string | null {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).map(Number).filter(Number.isInteger) : [];
  const found = versions.sort((a, b) => b - a).map((version) => join(root, String(version), "bin"));
  return found.find((folder) => existsSync(join(folder, "initdb"))) ?? null;
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, "close");
  return port;
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text
      .split(" ")
      .filter((part) => part !== "")
      .map(Number);
  } catch {
    return [];
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended by itself
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
