/**
 * Which version of the data folder's layout a folder has, and what is kept before a newer Tidewire changes it: a whole data
 * folder beside the files, on which the older program starts as it is. Files that are never changed are hard links.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { Logger } from "../base/mod.ts";
import { VERSION } from "./version.ts";

/**
 * 1: before this file was written; telemetry in tables that were never compacted. 2: telemetry in generations and Parquet
 * files. 3: the registry's rows carry their tenant. 4: rules' deliveries by receiver, secrets sealed. 5: devices' passwords,
 * access keys with policies. 6: telemetry's files may hold decimals. Every file has a version of its own besides; this one grows where an older program could not read one of them.
 */
export const DATA_FORMAT = 6;

const FILE = "format.json";
const KEPT = /^before-upgrade-from-\d+$/;
/** Not part of what an older program needs. */
const LEFT_OUT = /(?:^|\/)(?:lock|lock-journal|lock\.pid|runtime\.json|platform\.log[^/]*|[^/]*\.tmp)$/;
/** Written once, then only read or removed. */
const UNCHANGING = /\.parquet$/;
const SEGMENT = /^log\/\d{20}\.seg$/;

export interface UpgradeOptions {
  readonly data: string;
  readonly logger: Logger;
}

/**
 * To be called once the folder is locked and before any of its files is opened. Returns the folder that was kept; null
 * where nothing is upgraded. Throws DATA_NEWER, or DATA_FOLDER_UNUSABLE where nothing could be kept: nothing is changed then.
 */
export function prepareUpgrade({ data, logger }: UpgradeOptions): string | null {
  const found = formatOf(data);
  if (found !== null && found.format > DATA_FORMAT) {
    const { format, version } = found;
    throw new TidewireError("DATA_NEWER", { path: data, version: format, known: DATA_FORMAT, writer: version });
  }
  const before = found?.format ?? (existsSync(join(data, "registry.db")) ? 1 : DATA_FORMAT);
  if (before === DATA_FORMAT && found !== null) return null;
  const kept = before === DATA_FORMAT ? null : keep(data, before);
  // From here on an older program refuses the folder, whatever becomes of the upgrade.
  writeFormat(data);
  if (kept !== null) {
    const fields = { from: before, to: DATA_FORMAT, kept };
    logger.warn(
      "The data folder is upgraded; the folder as it was is kept, and may be removed when all is well",
      fields,
    );
  }
  return kept;
}

function formatOf(data: string): { readonly format: number; readonly version: string } | null {
  let text: string;
  try {
    text = readFileSync(join(data, FILE), "utf8");
  } catch {
    return null;
  }
  try {
    const { format, version } = JSON.parse(text) as Record<string, unknown>;
    if (typeof format === "number" && typeof version === "string") return { format, version };
  } catch {
    // said below
  }
  throw new TidewireError("DATA_FOLDER_UNUSABLE", {
    path: data,
    reason: `${FILE} is damaged; it should be {"format": N, "version": "…"}`,
  });
}

function writeFormat(data: string): void {
  const path = join(data, FILE);
  writeFileSync(`${path}.tmp`, `${JSON.stringify({ format: DATA_FORMAT, version: VERSION })}\n`, { mode: 0o600 });
  sync(`${path}.tmp`);
  renameSync(`${path}.tmp`, path);
  sync(data);
}

function keep(data: string, before: number): string {
  const target = join(data, `before-upgrade-from-${before}`);
  const parts = `${target}.tmp`;
  try {
    rmSync(parts, { recursive: true, force: true });
    if (existsSync(target)) return target; // the upgrade was interrupted behind this
    mkdirSync(parts, { mode: 0o700 });
    const files = filesOf(data);
    const growing = files.filter((path) => SEGMENT.test(path)).slice(-2); // the last, and one that was made ahead
    for (const path of files) {
      const [from, to] = [join(data, path), join(parts, path)];
      mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
      const unchanging = UNCHANGING.test(path) || (SEGMENT.test(path) && !growing.includes(path));
      if (!unchanging || !linked(from, to)) {
        copyFileSync(from, to);
        sync(to);
      }
    }
    sync(parts);
    renameSync(parts, target);
    sync(data);
    return target;
  } catch (error) {
    rmSync(parts, { recursive: true, force: true });
    const reason = `it has to be upgraded, and could not be kept as it is before that: ${reasonOf(error)}`;
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: data, reason }, { cause: error });
  }
}

function filesOf(data: string): string[] {
  return readdirSync(data, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(data, join(entry.parentPath, entry.name)).replaceAll(sep, "/"))
    .filter((path) => !LEFT_OUT.test(path) && !KEPT.test(path.split("/")[0]!))
    .sort();
}

/** False where the file system has no links. */
function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch {
    return false;
  }
}

function sync(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
