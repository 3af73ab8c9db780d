/** Real servers for the contract tests of the senders: each in a folder of its own, on loopback, ended with the test process. */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_TRIES = 600;
const PAUSE_MS = 50;

/** Why there is no such server to test with; null where there is one. */
export function programMissing(program: string, debianPackage = program): string | null {
  const found = spawnSync("sh", ["-c", `PATH=$PATH:/usr/sbin command -v ${program}`]).status === 0;
  return found ? null : `${program} is not installed (Debian: ${debianPackage})`;
}

interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class TestServer {
  readonly port: number;
  readonly folder: string;
  readonly #command: (server: TestServer) => readonly Command[];
  readonly #ready: (port: number) => Promise<boolean>;
  #children: ChildProcess[] = [];
  readonly #atExit = (): void => this.#signal("SIGKILL");

  private constructor(port: number, options: Pick<TestServerOptions, "commands" | "ready">) {
    this.port = port;
    this.folder = mkdtempSync(join(tmpdir(), "tidewire-server-"));
    this.#command = options.commands;
    this.#ready = options.ready ?? accepts;
    process.on("exit", this.#atExit);
  }

  static async start(options: TestServerOptions): Promise<TestServer> {
    const server = new TestServer(await freePort(), options);
    await server.up();
    return server;
  }

  async up(): Promise<void> {
    for (const { program, args, env = {} } of this.#command(this)) {
      const whole = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin`, HOME: this.folder, ...env };
      // The server ends with this process, however that ends; whatever it starts, it starts in its group.
      const options = { stdio: "ignore", env: whole, cwd: this.folder, detached: true } as const;
      this.#children.push(spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], options));
    }
    for (let tries = 0; !(await this.#ready(this.port)); tries++) {
      if (tries >= START_TRIES) throw new Error(`it does not start: ${JSON.stringify(this.#command(this))}`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** As a power failure of the server's machine, but for the disk. */
  async kill(): Promise<void> {
    const gone = this.#children.filter(isAlive).map((child) => once(child, "exit"));
    this.#signal("SIGKILL");
    await Promise.all(gone);
    this.#children = [];
  }

  /** Stands still: connections stay open and nothing answers. */
  freeze(): void {
    this.#signal("SIGSTOP");
    // A signal is on its way for a moment, in which one of its threads may still answer.
    while (!this.#children.filter(isAlive).every(({ pid }) => stands(pid!))) continue;
  }

  thaw(): void {
    this.#signal("SIGCONT");
  }

  async remove(): Promise<void> {
    await this.kill();
    process.off("exit", this.#atExit);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #signal(name: NodeJS.Signals): void {
    for (const child of this.#children.filter(isAlive)) {
      try {
        process.kill(-child.pid!, name);
      } catch {
        // it has ended by itself
      }
    }
  }
}

export interface TestServerOptions {
  readonly commands: (server: TestServer) => readonly Command[];
  readonly ready?: (port: number) => Promise<boolean>;
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** PEM files: of the server, and of the CA that clients must be of. */
export interface ServerTls {
  readonly caPath: string;
  readonly certPath: string;
  readonly keyPath: string;
}

export const natsServer = (tls?: ServerTls): Promise<TestServer> =>
  TestServer.start({
    commands: ({ port, folder }) => [
      {
        program: "nats-server",
        args: [
          "-a",
          "127.0.0.1",
          "-p",
          String(port),
          "-js",
          "-sd",
          join(folder, "js"),
          "--user",
          "tide",
          "--pass",
          "wire",
          ...(tls === undefined
            ? []
            : ["--tlsverify", "--tlscert", tls.certPath, "--tlskey", tls.keyPath, "--tlscacert", tls.caPath]),
        ],
      },
    ],
  });

export const redisServer = (tls?: ServerTls): Promise<TestServer> =>
  TestServer.start({
    commands: ({ port, folder }) => [
      {
        program: "redis-server",
        args: [
          "--bind",
          "127.0.0.1",
          ...(tls === undefined ? ["--port", String(port)] : redisTls(port, tls)),
          "--dir",
          folder,
          "--appendonly",
          "yes",
          "--requirepass",
          "wire",
        ],
      },
    ],
  });

function redisTls(port: number, { caPath, certPath, keyPath }: ServerTls): string[] {
  const files = ["--tls-cert-file", certPath, "--tls-key-file", keyPath, "--tls-ca-cert-file", caPath];
  return ["--port", "0", "--tls-port", String(port), ...files];
}

/** With an epmd of its own, so that nothing stays behind. */
export async function rabbitServer(tls: ServerTls): Promise<TestServer & { readonly tlsPort: number }> {
  const [names, distribution, tlsPort] = [await freePort(), await freePort(), await freePort()];
  const server = await TestServer.start({
    commands({ port, folder }) {
      mkdirSync(join(folder, "data"), { recursive: true });
      writeFileSync(join(folder, "plugins"), "[].");
      const lines = [
        `listeners.tcp.local = 127.0.0.1:${port}`,
        "loopback_users = none",
        `listeners.ssl.local = 127.0.0.1:${tlsPort}`,
        `ssl_options.cacertfile = ${tls.caPath}`,
        `ssl_options.certfile = ${tls.certPath}`,
        `ssl_options.keyfile = ${tls.keyPath}`,
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = true",
      ];
      writeFileSync(join(folder, "rabbitmq.conf"), `${lines.join("\n")}\n`);
      const env = {
        RABBITMQ_NODENAME: "tidewire@localhost",
        RABBITMQ_NODE_PORT: String(port),
        RABBITMQ_DIST_PORT: String(distribution),
        RABBITMQ_MNESIA_BASE: join(folder, "data"),
        RABBITMQ_LOG_BASE: folder,
        RABBITMQ_PID_FILE: join(folder, "pid"),
        RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
        RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "plugins"),
        ERL_EPMD_PORT: String(names),
        ERL_EPMD_ADDRESS: "127.0.0.1",
      };
      return [
        { program: "epmd", args: [], env },
        { program: "/usr/lib/rabbitmq/bin/rabbitmq-server", args: [], env },
      ];
    },
    ready: greetsAmqp,
  });
  return Object.assign(server, { tlsPort });
}

/** All its threads do, or it is gone. */
function stands(pid: number): boolean {
  const threads = `/proc/${pid}/task`;
  try {
    // The state follows the program's name, which may hold anything (proc(5)).
    return readdirSync(threads).every((thread) =>
      /\) [TZX] [^)]*$/.test(readFileSync(`${threads}/${thread}/stat`, "latin1")),
    );
  } catch {
    return false; // a thread has ended meanwhile
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}

/** The port is open before the broker is. */
function greetsAmqp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(Buffer.from("AMQP\0\0\x09\x01", "latin1")));
    socket.on("data", () => {
      resolve(true);
      socket.destroy();
    });
    socket.on("error", () => resolve(false)).on("close", () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, "close");
  return port;
}
