/** Clients in a process of their own, on the clients' core. */
import { once } from "node:events";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { CLIENT_CORE } from "../processes.ts";
import type { ClientsEvent, ClientsRequest } from "./device-clients.ts";

type Ready = ClientsEvent & { readonly event: "ready" };

export class DeviceClients {
  readonly #child: ChildProcess;
  /** When each was told that its connection is closed, in ns of the monotonic clock. */
  readonly closedAt = new Map<number, bigint>();
  readonly #ready: Promise<Ready>;
  #changed: () => void = () => {};

  constructor(request: ClientsRequest, pinned = true) {
    const script = join(import.meta.dirname, "device-clients.ts");
    const command = [...(pinned ? ["taskset", "-c", CLIENT_CORE] : []), process.execPath, script];
    this.#child = spawn(command[0]!, command.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    this.#ready = new Promise((resolve, reject) => {
      this.#child.once("exit", (code) => reject(new Error(`the clients ended with ${code}`)));
      createInterface(this.#child.stdout!).on("line", (line) => {
        const event = JSON.parse(line) as ClientsEvent;
        if (event.event === "ready") return resolve(event);
        for (const [index, at] of event.clients) this.closedAt.set(index, BigInt(at));
        this.#changed();
      });
    });
    this.#ready.catch(() => {}); // whoever waits is told
  }

  ready(): Promise<Ready> {
    return this.#ready;
  }

  /** Resolves when all of these are closed; rejects after a while. */
  async closed(indexes: readonly number[], withinMs = 30_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!indexes.every((index) => this.closedAt.has(index))) {
      if (performance.now() > deadline) {
        const open = indexes.filter((index) => !this.closedAt.has(index)).length;
        throw new Error(`${open} of ${indexes.length} are still connected after ${withinMs} ms`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.stdin!.end();
    await gone;
  }
}
