/** One run of the store process, from fork to exit. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { FromStore, ToStore } from "./protocol.ts";

export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The last lines of its standard error: what a native abort prints. */
  readonly stderr: string;
}

export interface ChildEvents {
  news(news: FromStore): void;
  exit(exit: ChildExit): void;
}

/** What the platform holds of a running store process. */
export interface StoreProcess {
  readonly pid: number | undefined;
  send(order: ToStore): void;
  kill(): void;
}

const STDERR_KEPT = 2_000;

export class StoreChild implements StoreProcess {
  readonly #process: ChildProcess;
  #stderr = "";
  #over = false;

  constructor(events: ChildEvents, compileCacheFolder?: string) {
    this.#process = fork(fileURLToPath(new URL("process.ts", import.meta.url)), [], {
      serialization: "advanced", // typed, and twice as fast as JSON for long columns of numbers
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      execArgv: [], // not the platform's own flags: a debugger's port, a test runner
      env: {
        ...process.env,
        // glibc would keep an arena per thread, each with its own leftovers.
        MALLOC_ARENA_MAX: "2",
        // With compiled sources at hand the TypeScript stripper is not loaded: 20 MB and 0.2 s less.
        ...(compileCacheFolder === undefined ? {} : { NODE_COMPILE_CACHE: compileCacheFolder }),
      },
    });
    const exit = (code: number | null, signal: string | null): void => {
      if (this.#over) return;
      this.#over = true;
      events.exit({ code, signal, stderr: this.#stderr.trim() });
    };
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    this.#process.on("message", (news) => {
      if (!this.#over) events.news(news as FromStore);
    });
    this.#process.on("close", (code, signal) => exit(code, signal)); // after its last message and line
    this.#process.on("error", (error) => {
      this.#stderr += error.message;
      if (this.#process.pid === undefined) exit(null, null); // it could not be started
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  send(order: ToStore): void {
    if (this.#process.connected) this.#process.send(order, () => {}); // a broken channel ends in `exit`
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }
}
