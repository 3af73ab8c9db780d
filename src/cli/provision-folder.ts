/**
 * The folder that bulk provisioning writes: a folder per device, the report, and what is under way. A device goes through
 * three steps, each on disk before the next: its key waits in `.unfinished`, its folder is whole, the report says so.
 */
import { createHash } from "node:crypto";
import { appendFileSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isDeviceFolder, isUnfinishedDeviceFolder, writeDeviceFolder } from "../adapters/device-folder.ts";
import type { DeviceFolder } from "../adapters/device-folder.ts";
import { openDataFolder } from "../adapters/data-folder.ts";
import type { DataFolder } from "../adapters/data-folder.ts";
import { createKeyAndCsr } from "../adapters/pki/mod.ts";
import { removeTemporaryFiles, writeAtomically } from "../adapters/secrets/atomic-file.ts";
import { syncFolderNow } from "../adapters/sync-folder.ts";
import { TidewireError, isTidewireError, reasonOf } from "../base/mod.ts";

/** A line of `report.ndjson`. */
export type Entry =
  | {
      readonly line: number;
      readonly outcome: "done";
      readonly row: string;
      readonly thing: string;
      readonly certificateId: string;
      readonly folder: string;
    }
  | { readonly line: number; readonly outcome: "failed"; readonly reason: string };

type Done = Extract<Entry, { readonly outcome: "done" }>;

export interface WaitingKey {
  readonly privateKeyPem: string;
  readonly csrPem: string;
}

const REPORT = "report.ndjson";
const UNFINISHED = ".unfinished";

/** What a line asks for: the same line is the same row, wherever in the file it stands. */
export function rowId(template: string, parameters: Readonly<Record<string, string>>): string {
  const entries = Object.entries(parameters).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([template, entries]))
    .digest("hex")
    .slice(0, 40);
}

export class BulkFolder {
  readonly path: string;
  readonly #unfinished: DataFolder;
  /** By row; bounded by the lines of the files that were provisioned into this folder. */
  readonly #done = new Map<string, Done>();
  readonly #report: number;

  /** Throws BULK_FOLDER_LOCKED, DATA_FOLDER_UNUSABLE. */
  constructor(path: string) {
    this.path = path;
    this.#unfinished = lockedFolder(join(path, UNFINISHED));
    try {
      removeTemporaryFiles(this.#unfinished.path);
      // Whether its folder is still there does not matter: it may have been moved to its device.
      for (const entry of doneOf(this.reportPath)) this.#done.set(entry.row, entry);
      // What failed before is tried again, and reported anew.
      removeTemporaryFiles(path);
      const lines = [...this.#done.values()].map((entry) => `${JSON.stringify(entry)}\n`);
      writeAtomically(path, REPORT, lines.join(""));
      this.#report = openSync(this.reportPath, "a", 0o600);
    } catch (error) {
      this.#unfinished.release();
      throw unusable(path, error);
    }
  }

  get reportPath(): string {
    return join(this.path, REPORT);
  }

  deviceFolder(thing: string): string {
    return join(this.path, thing);
  }

  isDone(row: string): boolean {
    return this.#done.has(row);
  }

  /** The key of an earlier attempt, or a new one; on disk before anybody hears of it. */
  async keyFor(row: string): Promise<WaitingKey> {
    const file = `${row}.json`;
    const path = join(this.#unfinished.path, file);
    try {
      if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")) as WaitingKey;
      const key = await createKeyAndCsr("Tidewire device");
      writeAtomically(this.#unfinished.path, file, `${JSON.stringify(key)}\n`);
      return key;
    } catch (error) {
      throw unusable(path, error);
    }
  }

  /** Throws DEVICE_FOLDER_EXISTS where there is another device's folder, and DATA_FOLDER_UNUSABLE. */
  finish(entry: Done, device: Omit<DeviceFolder, "path">): void {
    const path = this.deviceFolder(entry.thing);
    if (isDeviceFolder(path)) this.#takeUp(path, device.privateKeyPem);
    try {
      if (!isDeviceFolder(path)) writeDeviceFolder({ ...device, path });
      // The key leaves its first place when its second one survives a power cut.
      for (const folder of [path, this.path]) syncFolderNow(folder);
      this.#append(entry);
      this.#done.set(entry.row, entry);
      rmSync(join(this.#unfinished.path, `${entry.row}.json`), { force: true });
    } catch (error) {
      throw isTidewireError(error) ? error : unusable(path, error);
    }
  }

  failed(line: number, reason: string): void {
    this.#append({ line, outcome: "failed", reason });
  }

  close(): void {
    fsyncSync(this.#report);
    closeSync(this.#report);
    this.#unfinished.release();
  }

  /** A folder of this very key, whole or interrupted while it was written; an interrupted one is written again. */
  #takeUp(path: string, privateKeyPem: string): void {
    if (keyIn(path) !== privateKeyPem && !isHalfWritten(path, privateKeyPem))
      throw new TidewireError("DEVICE_FOLDER_EXISTS", { path });
    if (!isUnfinishedDeviceFolder(path)) return;
    const files = ["private-key.pem", "certificate.pem", "ca.pem", "device-configuration.json"];
    for (const file of files) rmSync(join(path, file), { force: true });
  }

  #append(entry: Entry): void {
    appendFileSync(this.#report, `${JSON.stringify(entry)}\n`);
  }
}

/** Cut off within the key: it still begins as ours does, and there is no configuration. */
function isHalfWritten(path: string, privateKeyPem: string): boolean {
  return isUnfinishedDeviceFolder(path) && privateKeyPem.startsWith(keyIn(path) ?? "?");
}

function keyIn(path: string): string | null {
  try {
    return readFileSync(join(path, "private-key.pem"), "utf8");
  } catch {
    return null;
  }
}

/** The last line may be half of one, where somebody was killed. */
function doneOf(path: string): readonly Done[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        const entry = JSON.parse(line) as Entry;
        return entry.outcome === "done" ? [entry] : [];
      } catch {
        return [];
      }
    });
}

function lockedFolder(path: string): DataFolder {
  try {
    return openDataFolder(path);
  } catch (error) {
    if (!isTidewireError(error) || error.code !== "DATA_FOLDER_LOCKED") throw unusable(path, error);
    const pid = readFileSync(join(path, "lock.pid"), "utf8").trim();
    throw new TidewireError("BULK_FOLDER_LOCKED", { path: join(path, ".."), pid }, { cause: error });
  }
}

function unusable(path: string, error: unknown): TidewireError {
  if (isTidewireError(error)) return error;
  return new TidewireError("DATA_FOLDER_UNUSABLE", { path, reason: reasonOf(error) }, { cause: error });
}
