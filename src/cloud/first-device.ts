/**
 * The first device of a new platform: this machine. It is provisioned like any other (own key, own certificate, least
 * privilege) and runs as a process of its own that speaks MQTT over TLS; nothing in here is a shortcut.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { hostname } from "node:os";
import { join } from "node:path";
import { agentConfigPath, isDeviceFolder, writeDeviceFolder } from "../adapters/device-folder.ts";
import type { Logger, Scheduler } from "../base/mod.ts";
import { seconds } from "../base/mod.ts";

const RESTART_DELAY_MIN = seconds(1);
const RESTART_DELAY_MAX = seconds(60);
/** An agent that ran this long was fine; the next failure starts again with the shortest delay. */
const HEALTHY_AFTER = seconds(60);

/** What an agent gets to save and say good-bye. */
const STOP_GRACE = seconds(5);

export interface FirstDeviceOptions {
  readonly dataDir: string;
  readonly broker: string;
  readonly caPem: string;
  /** Registers the thing and issues its certificate. */
  readonly provision: (thing: string) => Promise<{ readonly certificatePem: string; readonly privateKeyPem: string }>;
  readonly logger: Logger;
  readonly scheduler: Scheduler;
}

export interface FirstDevice {
  readonly thing: string;
  stop(): Promise<void>;
}

export async function startFirstDevice(options: FirstDeviceOptions): Promise<FirstDevice> {
  const thing = thingNameOf(hostname());
  const folder = join(options.dataDir, "devices", thing);
  if (!isDeviceFolder(folder)) {
    const issued = await options.provision(thing);
    writeDeviceFolder({ path: folder, thing, broker: options.broker, caPem: options.caPem, ...issued });
  }
  const args = ["agent", "--config", agentConfigPath(folder), "--broker", options.broker];
  const supervised = new SupervisedAgent(args, options);
  supervised.start();
  return { thing, stop: () => supervised.stop() };
}

/** A host name as a thing name: what AWS IoT does not allow becomes a hyphen. */
export function thingNameOf(host: string): string {
  const name = host.replace(/[^a-zA-Z0-9:_-]+/g, "-").slice(0, 128);
  return name === "" ? "this-machine" : name;
}

/** Restarts the agent when it dies, with growing delays; a crash loop must not eat the machine. */
class SupervisedAgent {
  readonly #args: readonly string[];
  readonly #options: FirstDeviceOptions;
  #child: ChildProcess | null = null;
  #stopping = false;
  #delay = RESTART_DELAY_MIN;
  #cancelRestart: () => void = () => {};

  constructor(args: readonly string[], options: FirstDeviceOptions) {
    this.#args = args;
    this.#options = options;
  }

  start(): void {
    const { logger, scheduler } = this.#options;
    const main = join(import.meta.dirname, "../../bin/tidewire.mjs");
    const child = spawn(process.execPath, [main, ...this.#args], { stdio: ["pipe", "ignore", "pipe"] });
    this.#child = child;
    let lastWords = "";
    child.stderr?.on("data", (chunk: Buffer) => (lastWords = (lastWords + chunk.toString()).slice(-2000)));
    const cancelHealthy = scheduler.after(HEALTHY_AFTER, () => (this.#delay = RESTART_DELAY_MIN));
    child.on("error", (error) =>
      logger.error("The agent of this machine cannot be started.", { reason: error.message }),
    );
    child.on("close", (code, signal) => {
      cancelHealthy();
      this.#child = null;
      if (this.#stopping) return;
      logger.warn("The agent of this machine ended; it is started again.", {
        code,
        signal,
        delayMs: this.#delay,
        lastWords,
      });
      this.#cancelRestart = scheduler.after(this.#delay, () => this.start());
      this.#delay = Math.min(this.#delay * 2, RESTART_DELAY_MAX);
    });
  }

  stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelRestart();
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
}
