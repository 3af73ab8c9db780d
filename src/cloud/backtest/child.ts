/** One process that looks at the past, from fork to exit. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { mib } from "../../base/mod.ts";
import type { Limits } from "../../base/mod.ts";
import type { FromPast, ToPast } from "./protocol.ts";

export interface PastProcessEvents {
  news(news: FromPast): void;
  /** Once, also where it never ran. `stderr`: the end of what it said. */
  exit(reason: string, stderr: string): void;
}

/** What the platform holds of it. */
export interface PastProcess {
  send(order: ToPast): void;
  kill(): void;
}

export type StartPastProcess = (events: PastProcessEvents) => PastProcess;

const STDERR_KEPT = 2_000;

/** Its environment is empty but for what Node needs. */
export function startPastProcess(events: PastProcessEvents, { heapBytesMax }: Limits["backTests"]): PastProcess {
  const started = fork(fileURLToPath(new URL("process.ts", import.meta.url)), [], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    execArgv: [`--max-old-space-size=${Math.floor(heapBytesMax / mib(1))}`],
    env: {
      TZ: "UTC",
      MALLOC_ARENA_MAX: "2",
      ...(process.env["NODE_COMPILE_CACHE"] === undefined
        ? {}
        : { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] }),
    },
  });
  let over = false;
  let stderr = "";
  const exit = (reason: string): void => {
    if (over) return;
    over = true;
    events.exit(reason, stderr.trim());
  };
  started.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-STDERR_KEPT)));
  started.on("message", (news) => {
    if (!over) events.news(news as FromPast);
  });
  started.on("exit", (code, signal) => exit(signal ?? `status ${code}`));
  started.on("error", (error) => exit(error.message));
  return {
    send: (order) => {
      if (started.connected) started.send(order, () => {}); // a broken channel ends in `exit`
    },
    kill: () => void started.kill("SIGKILL"),
  };
}
