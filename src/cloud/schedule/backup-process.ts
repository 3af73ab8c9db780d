/** `tidewire backup` as a program of its own. */
import { join } from "node:path";
import { BackupRepository } from "../../adapters/backup/mod.ts";
import type { BackupPorts } from "../../adapters/backup/mod.ts";
import { ManifestFile } from "../../adapters/files/mod.ts";
import type { ColdPlace } from "../../adapters/objects/mod.ts";
import { isTidewireError } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import { addressOf } from "./backup.ts";
import type { BackupTool } from "./backup.ts";
import { ProgramFailed, runProgram } from "./program.ts";

/** What is known of the newest one in a place, also after a restart: `damaged` is not what was written. */
interface ReadBack {
  readonly place: string;
  readonly found: "unread" | "damaged" | "whole";
}

/** Throws MANIFEST_NEWER, or the system's error. */
export async function backupProcess(
  data: string,
  ports: BackupPorts & { readonly logger: Logger },
): Promise<BackupTool> {
  const path = join(data, "backup-schedule.json");
  const { logger } = ports;
  const known = await ManifestFile.open({ path, format: "tidewire-backup-schedule", version: 1, validate, logger });
  const found = (to: ColdPlace): ReadBack["found"] => {
    if (known.current === null) return known.state === "lost" ? "damaged" : "whole";
    return known.current.place === placeOf(to) ? known.current.found : "whole";
  };
  return {
    newest: async (to) => {
      if (found(to) !== "whole") return null;
      const repository = await BackupRepository.read(to, ports).catch(unlessEmpty);
      return (await repository?.newest())?.takenAt ?? null;
    },
    take: async ({ to, keep, verify }, signal) => {
      const [address, options] = [addressOf(to), bucketOptions(to)];
      const args = ["backup", "--to", address, ...options, "--data", data, "--keep", String(keep), "--json"];
      const before = found(to);
      const note = (now: ReadBack["found"]): Promise<void> => known.write({ place: placeOf(to), found: now });
      if (before === "damaged") args.push("--anew");
      else if (verify) await note("unread");
      const taken = JSON.parse(await runProgram(args, signal)) as { backup: string; added: number };
      if (verify) {
        const read = runProgram(["backup", "verify", taken.backup, "--in", address, ...options], signal);
        await read.catch(async (error: unknown) => {
          if (error instanceof ProgramFailed && error.foundDamage) await note("damaged");
          throw error;
        });
      }
      if (verify || before !== "whole") await note("whole");
      return taken;
    },
  };
}

function validate(content: unknown): ReadBack {
  const { place, found } = content as ReadBack;
  const sound = typeof place === "string" && ["unread", "damaged", "whole"].includes(found);
  if (!sound) throw new Error("an entry is not what it should be");
  return { place, found };
}

function placeOf(to: ColdPlace): string {
  return to.kind === "folder" ? to.path : `${addressOf(to)} at ${to.endpoint}`;
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
