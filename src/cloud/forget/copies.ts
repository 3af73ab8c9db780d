/** Copies of data that only a person may remove, because a person may need them. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Remains } from "./forgetter.ts";

/** Files that were damaged, or that no manifest explained, and a folder as it was before an upgrade. */
const SET_ASIDE = /(?:^|\/)(?:quarantine|lost-[^/]+|before-upgrade-from-\d+)\/|\.damaged(?:-|$)/;
const NAMES_SHOWN = 20;

export async function copiesIn(data: string): Promise<readonly Remains[]> {
  const entries = await readdir(data, { withFileTypes: true, recursive: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(data.length + 1))
    .filter((name) => SET_ASIDE.test(name))
    .sort();
  const detail = "backups that were taken before have what they had; remove them, or let `--keep` do it";
  const backups: Remains = { where: "backups", detail, until: null, names: [] };
  if (names.length === 0) return [backups];
  const aside = "files that were put aside; nobody can say what is in them, remove them when nobody needs them";
  return [backups, { where: "data folder", detail: aside, until: null, names: names.slice(0, NAMES_SHOWN) }];
}
