/** A verb of `tidewire` as a program of its own: it reads gigabytes, which is nothing for the broker's process. */
import { spawn } from "node:child_process";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
/** Nice value. */
const PRIORITY = 10;
/** What it prints at most: the result of a scrub with as many findings as it names. */
const TOLD_CHARS = 64_000;
/** Something is damaged: that is a result, too. */
const EXIT_DAMAGED = 6;

/** What it prints. Rejects with its last words where it fails. */
export function runProgram(args: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"], signal });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout = (stdout + text).slice(-TOLD_CHARS)));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-TOLD_CHARS)));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(stdout);
      else reject(new ProgramFailed(code, stdout, stderr));
    });
    try {
      if (child.pid !== undefined) setPriority(child.pid, PRIORITY);
    } catch {
      // Not everywhere allowed, and nothing depends on it.
    }
  });
}

export class ProgramFailed extends Error {
  readonly foundDamage: boolean;
  readonly stdout: string;

  constructor(code: number | null, stdout: string, stderr: string) {
    const said = (stderr.trim() === "" ? stdout : stderr).trim().replaceAll(/\s*\n\s*/g, " ");
    super(said === "" ? `status ${code}` : said);
    this.foundDamage = code === EXIT_DAMAGED;
    this.stdout = stdout;
  }
}
