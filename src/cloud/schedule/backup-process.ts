/** `tidewire backup` as a program of its own. */
import { BackupRepository } from "../../adapters/backup/mod.ts";
import type { BackupPorts } from "../../adapters/backup/mod.ts";
import type { ColdPlace } from "../../adapters/objects/mod.ts";
import { isTidewireError } from "../../base/mod.ts";
import { addressOf } from "./backup.ts";
import type { BackupTool } from "./backup.ts";
import { ProgramFailed, runProgram } from "./program.ts";

export function backupProcess(data: string, ports: BackupPorts): BackupTool {
  /** The last one that was read back was not whole: what is there is not what was written. */
  let isDoubtful = false;
  return {
    newest: async (to) => {
      const repository = await BackupRepository.read(to, ports).catch(unlessEmpty);
      return (await repository?.newest())?.takenAt ?? null;
    },
    take: async ({ to, keep, verify }, signal) => {
      const [address, options] = [addressOf(to), bucketOptions(to)];
      const args = ["backup", "--to", address, ...options, "--data", data, "--keep", String(keep), "--json"];
      if (isDoubtful) args.push("--anew");
      const taken = JSON.parse(await runProgram(args, signal)) as { backup: string; added: number };
      if (verify) {
        const read = runProgram(["backup", "verify", taken.backup, "--in", address, ...options], signal);
        await read.catch((error: unknown) => {
          if (error instanceof ProgramFailed && error.foundDamage) isDoubtful = true;
          throw error;
        });
      }
      isDoubtful = false;
      return taken;
    },
  };
}

/** Paths and names; secrets are in the file that is named, or in the environment. */
function bucketOptions(to: ColdPlace): readonly string[] {
  if (to.kind === "folder") return [];
  const { endpoint, region, credentials, ca } = to;
  return [
    "--endpoint",
    endpoint,
    "--region",
    region,
    ...(credentials === null ? [] : ["--credentials", credentials]),
    ...(ca === null ? [] : ["--ca", ca]),
  ];
}

/** Before the first backup there is nothing to read. */
function unlessEmpty(error: unknown): null {
  if (isTidewireError(error) && error.code === "BACKUP_UNUSABLE") return null;
  throw error;
}
