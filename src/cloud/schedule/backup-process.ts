/** `tidewire backup` as a program of its own. */
import { existsSync } from "node:fs";
import { BackupRepository } from "../../adapters/backup/mod.ts";
import type { BackupTool } from "./backup.ts";
import { runProgram } from "./program.ts";

export function backupProcess(data: string): BackupTool {
  return {
    newest: async (to) => {
      if (!existsSync(`${to}/tidewire-backup.json`)) return null;
      const repository = await BackupRepository.read(to);
      return (await repository.newest())?.takenAt ?? null;
    },
    take: async ({ to, keep, verify }, signal) => {
      const said = await runProgram(["backup", "--to", to, "--data", data, "--keep", String(keep), "--json"], signal);
      const taken = JSON.parse(said) as { backup: string; added: number };
      if (verify) await runProgram(["backup", "verify", taken.backup, "--in", to], signal);
      return taken;
    },
  };
}
