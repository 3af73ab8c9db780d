/** A real `tidewire agent` as a child process. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ROOT } from "./platform-process.ts";

export interface OutboxState {
  /** Sequence of the last reading that the agent accepted. */
  readonly lastSequence: number;
  /** Readings still waiting. */
  readonly waiting: number;
  /** Readings given up for any reason; must stay 0. */
  readonly lost: number;
}

export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
  }

  static start(folder: string): AgentProcess {
    const child = spawn(
      process.execPath,
      [join(ROOT, "src/main.ts"), "agent", "--config", join(folder, "agent.yaml")],
      {
        stdio: ["ignore", "ignore", "inherit"],
        cwd: folder,
      },
    );
    return new AgentProcess(child, folder);
  }

  /** Changes a value of agent.yaml as a user with an editor would. */
  static configure(folder: string, from: string, to: string): void {
    const path = join(folder, "agent.yaml");
    const text = readFileSync(path, "utf8");
    if (!text.includes(from)) throw new Error(`${path} has no '${from}'`);
    writeFileSync(path, text.replace(from, to));
  }

  /** Reads the outbox's own file, as another process may in WAL mode. */
  outbox(): OutboxState {
    const database = new DatabaseSync(join(this.#folder, "data", "outbox.db"), { readOnly: true });
    try {
      const row = database.prepare("SELECT last_sequence, count, dropped, expired, refused FROM state").get() as Record<
        "last_sequence" | "count" | "dropped" | "expired" | "refused",
        number
      >;
      return { lastSequence: row.last_sequence, waiting: row.count, lost: row.dropped + row.expired + row.refused };
    } finally {
      database.close();
    }
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Stops accepting readings and ends. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill(signal);
    await exited;
  }
}
