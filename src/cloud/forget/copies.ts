/** Copies of data that only a person may remove, because a person may need them. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { BackupRepository } from "../../adapters/backup/mod.ts";
import type { BackupPorts } from "../../adapters/backup/mod.ts";
import type { ColdPlace } from "../../adapters/objects/mod.ts";
import { isTidewireError, reasonOf } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import type { Remains } from "./forgetter.ts";

/** Files that were damaged, or that no manifest explained, and a folder as it was before an upgrade. */
const SET_ASIDE = /(?:^|\/)(?:quarantine|lost-[^/]+|before-upgrade-from-\d+)\/|\.damaged(?:-|$)/;
const NAMES_SHOWN = 20;

/** `backups`: where those on schedule are; null: there are none. Those taken until `before` may hold something. */
export async function copiesIn(
  data: string,
  backups: ColdPlace | null,
  before: EpochMs,
  ports: BackupPorts,
): Promise<readonly Remains[]> {
  const entries = await readdir(data, { withFileTypes: true, recursive: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(data.length + 1))
    .filter((name) => SET_ASIDE.test(name))
    .sort();
  const detail = "those that were taken before have what they had; remove them, or let `keep` do it";
  const taken: Remains = { where: "backups", detail, until: null, names: await backupsIn(backups, before, ports) };
  if (names.length === 0) return [taken];
  const aside = "files that were put aside; nobody can say what is in them, remove them when nobody needs them";
  return [taken, { where: "data folder", detail: aside, until: null, names: names.slice(0, NAMES_SHOWN) }];
}

async function backupsIn(place: ColdPlace | null, before: EpochMs, ports: BackupPorts): Promise<readonly string[]> {
  if (place === null) return [];
  let names: readonly string[];
  try {
    names = await (await BackupRepository.read(place, ports)).names();
  } catch (error) {
    if (isTidewireError(error) && error.code === "BACKUP_UNUSABLE") return []; // none was taken yet
    if (place.kind === "folder") throw error;
    return [`those in the bucket '${place.bucket}', which does not answer (${reasonOf(error)})`];
  }
  // A name is when it was taken: 2026-11-22T02-00-00-000Z.
  const until = new Date(before).toISOString().replaceAll(/[:.]/g, "-");
  return names.filter((name) => name <= until).slice(-NAMES_SHOWN);
}
