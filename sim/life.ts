/** A process that can die at any moment: what it had begun never goes on, what it was waiting for never comes. */
import type { Scheduler } from "../src/base/mod.ts";
import { writeThenSync } from "../src/log/mod.ts";
import type { LogDirectory, LogFile } from "../src/log/mod.ts";

export class Life {
  #alive = true;

  get alive(): boolean {
    return this.#alive;
  }

  end(): void {
    this.#alive = false;
  }

  guard<A extends readonly unknown[]>(task: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      if (this.#alive) task(...args);
    };
  }

  scheduler(scheduler: Scheduler): Scheduler {
    return {
      after: (delay, task) => scheduler.after(delay, this.guard(task)),
      every: (period, task) => {
        const cancel = scheduler.every(period, () => {
          if (this.#alive) task();
          else cancel(); // else the timers of all dead processes would fire for ever
        });
        return cancel;
      },
      defer: (task) => scheduler.defer(this.guard(task)),
    };
  }

  /** What `promise` gives, unless the process is dead by then. */
  async whileAlive<T>(promise: Promise<T>): Promise<T> {
    try {
      const value = await promise;
      return this.#alive ? value : await never();
    } catch (error) {
      if (!this.#alive) return never();
      throw error;
    }
  }

  /** Resolves after `delay`; never, where the process is dead by then. */
  wait(scheduler: Scheduler, delay: number): Promise<void> {
    return new Promise((resolve) => scheduler.after(delay, this.guard(resolve)));
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/** The folder as one process sees it: each change takes a while before it happens, and a while until it is reported. */
export function folderOf(
  life: Life,
  folder: LogDirectory,
  scheduler: Scheduler,
  delay: (operation: "write" | "sync" | "other") => number,
): LogDirectory {
  const slow = async <T>(operation: "write" | "sync" | "other", work: () => Promise<T>): Promise<T> => {
    await life.wait(scheduler, delay(operation));
    const result = await life.whileAlive(work());
    await life.wait(scheduler, delay(operation));
    return result;
  };
  const fileOf = (file: LogFile): LogFile => {
    const slowFile: LogFile = {
      write: (bytes, position) => {
        const copy = bytes.slice();
        return slow("write", () => file.write(copy, position));
      },
      sync: () => slow("sync", () => file.sync()),
      writeDurably: (parts, position) => writeThenSync(slowFile, parts, position),
      read: (into, position) => life.whileAlive(file.read(into, position)),
      size: () => life.whileAlive(file.size()),
      truncate: (size) => slow("other", () => file.truncate(size)),
      close: () => life.whileAlive(file.close()),
    };
    return slowFile;
  };
  return {
    list: () => life.whileAlive(folder.list()),
    open: async (name, mode) => fileOf(await life.whileAlive(folder.open(name, mode))),
    remove: (name) => slow("other", () => folder.remove(name)),
    rename: (from, to) => slow("other", () => folder.rename(from, to)),
    sync: () => slow("other", () => folder.sync()),
    freeBytes: () => life.whileAlive(folder.freeBytes()),
  };
}
