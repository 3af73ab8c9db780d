/** One asking process, from fork to exit, and the pipe that answers come through. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { mib } from "../../base/mod.ts";
import type { Limits } from "../../base/mod.ts";
import type { FromAsker, ToAsker } from "./protocol.ts";

export interface AskerEvents {
  news(news: FromAsker): void;
  /** Bytes of the present answer; false asks the source to wait for `resume`. */
  bytes(bytes: Uint8Array): boolean;
  exit(reason: string): void;
}

/** What the platform holds of an asking process. */
export interface AskerProcess {
  send(order: ToAsker): void;
  /** After `bytes` returned false. */
  resume(): void;
  kill(): void;
}

const STDERR_KEPT = 2_000;

/**
 * V8 and DuckDB's own code count some 650 MiB of data before anything runs, nearly all of it never touched; the limit below is
 * the last one: an allocation that DuckDB's own accounting does not see fails instead of taking the machine's memory.
 */
const DATA_BYTES_BASE = mib(1024);

export function startAsker(events: AskerEvents, limits: Limits["asking"]): AskerProcess {
  const started = spawn(limits);
  let over = false;
  let stderr = "";
  const pipe = started.stdio[4] as Readable;
  const exit = (reason: string): void => {
    if (over) return;
    over = true;
    events.exit(reason);
  };
  started.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-STDERR_KEPT)));
  started.on("message", (news) => {
    if (!over) events.news(news as FromAsker);
  });
  pipe.on("data", (bytes: Uint8Array) => {
    if (!over && !events.bytes(bytes)) pipe.pause();
  });
  pipe.on("error", () => {}); // its end is the process' end
  started.on("exit", (code, signal) => exit(`it ended with ${signal ?? `status ${code}`} ${stderr.trim()}`.trim()));
  started.on("error", (error) => exit(error.message));
  const process: AskerProcess = {
    send: (order) => {
      if (started.connected) started.send(order, () => {}); // a broken channel ends in `exit`
    },
    resume: () => void pipe.resume(),
    kill: () => {
      over = true;
      started.kill("SIGKILL");
      pipe.destroy();
    },
  };
  process.send({ type: "open", limits });
  return process;
}

/** Its environment is empty but for what Node needs: a query that found a way to read it would find nothing. */
function spawn(limits: Limits["asking"]): ChildProcess {
  const dataKib = Math.floor((DATA_BYTES_BASE + 2 * limits.queryMemoryBytesMax) / 1024);
  const limited = process.platform === "linux" ? ["/bin/sh", "-c", `ulimit -d ${dataKib} && exec "$0" "$@"`] : null;
  const [shell, ...before] = limited ?? [process.execPath];
  return fork(fileURLToPath(new URL("process.ts", import.meta.url)), [], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc", "pipe"],
    execPath: shell!,
    execArgv: limited === null ? [] : [...before, process.execPath],
    env: {
      TZ: "UTC",
      MALLOC_ARENA_MAX: "2",
      ...(process.env["NODE_COMPILE_CACHE"] === undefined
        ? {}
        : { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] }),
    },
  });
}
