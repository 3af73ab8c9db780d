/**
 * The first device of a new platform: this machine. It is provisioned like any other (own key, own certificate, least
 * privilege) and runs as a process of its own that speaks MQTT over TLS; nothing in here is a shortcut.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { dataFolderHolder } from "../adapters/data-folder.ts";
import {
  agentConfigPath,
  isDeviceFolder,
  isUnfinishedDeviceFolder,
  writeDeviceFolder,
} from "../adapters/device-folder.ts";
import { VERSION } from "../adapters/version.ts";
import type { Cancel, Clock, LogFields, Logger, Scheduler } from "../base/mod.ts";
import { seconds } from "../base/mod.ts";

const RESTART_DELAY_MIN = seconds(1);
const RESTART_DELAY_MAX = seconds(60);
/** An agent that ran this long was fine; the next failure starts again with the shortest delay. */
const HEALTHY_AFTER = seconds(60);

/** What an agent gets to save and say good-bye. */
const STOP_GRACE = seconds(5);
/** How often an agent that is not our child is looked after. */
const LOOK_PERIOD = seconds(2);
const STOP_LOOK_PERIOD = seconds(1) / 20;

const PROGRAM = [join(import.meta.dirname, "../../bin/tidewire.mjs")];

export interface SupervisorOptions {
  /** `mqtts://` address that the agent is told. */
  readonly broker: string;
  /** `https://` address where it renews its certificate. */
  readonly renewal?: string;
  readonly logger: Logger;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  /** What Node runs instead of Tidewire itself, for tests. */
  readonly program?: readonly string[];
}

export interface FirstDeviceOptions extends SupervisorOptions {
  readonly dataDir: string;
  readonly caPem: string;
  /** Registers the thing and issues its certificate. */
  readonly provision: (thing: string) => Promise<{ readonly certificatePem: string; readonly privateKeyPem: string }>;
}

export interface FirstDevice {
  readonly thing: string;
  stop(): Promise<void>;
}

export async function startFirstDevice(options: FirstDeviceOptions): Promise<FirstDevice> {
  const thing = thingNameOf(hostname());
  const folder = join(options.dataDir, "devices", thing);
  // Nobody has connected with a key whose configuration was never written; the thing gets another.
  if (isUnfinishedDeviceFolder(folder)) rmSync(folder, { recursive: true });
  if (!isDeviceFolder(folder)) {
    const issued = await options.provision(thing);
    const { broker, renewal, caPem } = options;
    writeDeviceFolder({ path: folder, thing, broker, ...(renewal === undefined ? {} : { renewal }), caPem, ...issued });
  }
  const supervised = new SupervisedAgent(folder, options);
  supervised.start();
  return { thing, stop: () => supervised.stop() };
}

/** A host name as a thing name: what AWS IoT does not allow becomes a hyphen. */
export function thingNameOf(host: string): string {
  const name = host.replace(/[^a-zA-Z0-9:_-]+/g, "-").slice(0, 128);
  return name === "" ? "this-machine" : name;
}

/** Which agent we started, for the platform that comes after us. */
const Started = z.object({ pid: z.int().positive(), broker: z.string(), version: z.string() });

/**
 * Restarts the agent when it dies, with growing delays; a crash loop must not eat the machine. An agent outlives a
 * platform that was killed, and records on: the next platform finds it by the lock on its folder and takes it over, so
 * that its chart has no hole and no agent is left behind.
 */
export class SupervisedAgent {
  readonly #folder: string;
  readonly #options: SupervisorOptions;
  #child: ChildProcess | null = null;
  #adopted: number | null = null;
  #stopping = false;
  #delay = RESTART_DELAY_MIN;
  #cancelNext: Cancel = () => {};

  constructor(folder: string, options: SupervisorOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  /** The agent's process, whoever started it; null while there is none. */
  get pid(): number | null {
    return this.#child?.pid ?? this.#adopted;
  }

  start(): void {
    const holder = this.#holder();
    if (holder === null) this.#spawn();
    else this.#meet(holder);
  }

  stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelNext();
    if (this.#adopted !== null) return this.#stopAdopted(this.#adopted);
    const child = this.#child;
    if (child === null) return Promise.resolve();
    return new Promise((resolve) => {
      const cancelKill = this.#options.scheduler.after(STOP_GRACE, () => child.kill("SIGKILL"));
      child.once("close", () => {
        cancelKill();
        resolve();
      });
      child.kill("SIGTERM");
    });
  }

  #spawn(): void {
    const { broker, renewal, scheduler, logger } = this.#options;
    this.#adopted = null;
    const args = ["agent", "--config", agentConfigPath(this.#folder), "--broker", broker];
    if (renewal !== undefined) args.push("--renewal", renewal);
    const child = spawn(process.execPath, [...(this.#options.program ?? PROGRAM), ...args], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    this.#remember(child.pid);
    let lastWords = "";
    child.stderr?.on("data", (chunk: Buffer) => (lastWords = (lastWords + chunk.toString()).slice(-2000)));
    const cancelHealthy = scheduler.after(HEALTHY_AFTER, () => (this.#delay = RESTART_DELAY_MIN));
    let over = false;
    const ended = (how: LogFields): void => {
      if (over) return;
      over = true;
      cancelHealthy();
      this.#child = null;
      if (this.#stopping) return;
      const delayMs = this.#delay;
      logger.warn("The agent of this machine ended; it is started again.", { ...how, delayMs, lastWords });
      this.#cancelNext = scheduler.after(delayMs, () => this.start());
      this.#delay = Math.min(this.#delay * 2, RESTART_DELAY_MAX);
    };
    child.on("error", (error) => {
      logger.error("The agent of this machine has a problem.", { reason: error.message });
      if (child.pid === undefined) ended({ reason: error.message }); // it never was; `close` may not come
    });
    child.on("close", (code, signal) => ended({ code, signal }));
  }

  /** Somebody holds the folder: our predecessor's agent, one that must give way, or one that a user runs. */
  #meet(holder: number): void {
    const { logger, scheduler, broker } = this.#options;
    const started = this.#recall();
    const ours = started?.pid === holder;
    if (ours && (started.broker !== broker || started.version !== VERSION)) {
      logger.info("An agent that an earlier platform left behind gives way to ours.", { pid: holder });
      send(holder, "SIGTERM");
    } else if (this.#adopted !== holder) {
      logger.info("The agent of this machine runs already.", { pid: holder, adopted: ours });
      this.#adopted = ours ? holder : null;
    }
    this.#cancelNext = scheduler.after(LOOK_PERIOD, () => this.start());
  }

  async #stopAdopted(pid: number): Promise<void> {
    const { scheduler, clock } = this.#options;
    const end = clock.monotonic() + STOP_GRACE;
    send(pid, "SIGTERM");
    while (this.#holder() === pid) {
      if (clock.monotonic() > end) send(pid, "SIGKILL");
      await new Promise<void>((resolve) => scheduler.after(STOP_LOOK_PERIOD, resolve));
    }
  }

  #holder(): number | null {
    return dataFolderHolder(join(this.#folder, "data"));
  }

  #remember(pid: number | undefined): void {
    if (pid === undefined) return;
    const { broker } = this.#options;
    writeFileSync(join(this.#folder, "started.json"), JSON.stringify({ pid, broker, version: VERSION }), {
      mode: 0o600,
    });
  }

  #recall(): z.infer<typeof Started> | null {
    try {
      return Started.parse(JSON.parse(readFileSync(join(this.#folder, "started.json"), "utf8")));
    } catch {
      return null; // never written, or torn: then it is nobody that we know
    }
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}
