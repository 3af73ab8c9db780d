/** `tidewire backup` as a program of its own: it reads and compresses gigabytes, which is nothing for the broker's process. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { BackupRepository } from "../../adapters/backup/mod.ts";
import type { BackupTool } from "./backup.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const PRIORITY = 10;
const TOLD_CHARS = 2_000;

export function backupProcess(data: string): BackupTool {
  return {
    newest: async (to) => {
      if (!existsSync(`${to}/tidewire-backup.json`)) return null;
      const repository = await BackupRepository.read(to);
      return (await repository.newest())?.takenAt ?? null;
    },
    take: async ({ to, keep, verify }, signal) => {
      const said = await run(["backup", "--to", to, "--data", data, "--keep", String(keep), "--json"], signal);
      const taken = JSON.parse(said) as { backup: string; added: number };
      if (verify) await run(["backup", "verify", taken.backup, "--in", to], signal);
      return taken;
    },
  };
}

/** What it prints. Rejects with its last words where it fails. */
function run(args: readonly string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"], signal });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout = (stdout + text).slice(-TOLD_CHARS)));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-TOLD_CHARS)));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(stdout);
      else
        reject(
          new Error((stderr.trim() === "" ? stdout : stderr).trim().replaceAll(/\s*\n\s*/g, " ") || `status ${code}`),
        );
    });
    try {
      if (child.pid !== undefined) setPriority(child.pid, PRIORITY);
    } catch {
      // Not everywhere allowed, and nothing depends on it.
    }
  });
}
