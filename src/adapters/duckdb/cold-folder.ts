/** `data/telemetry/` on disk: the manifest, the files that it names, and whether they are what was written. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { join, resolve } from "node:path";
import { reasonOf } from "../../base/mod.ts";
import type { Clock, Logger } from "../../base/mod.ts";
import { ManifestFile } from "../files/mod.ts";
import { syncFolder } from "../sync-folder.ts";
import { COLD_FORMAT, COLD_VERSION, EMPTY_CONTENT, isColdFile, validateContent } from "./cold-files.ts";
import type { ColdContent, FileEntry, PointFile } from "./cold-files.ts";

/** Told before each step that a crash may follow; a test waits in it, or throws from it. */
export type OnColdStep = (step: string) => void | Promise<void>;

export interface ColdFolderOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onStep?: OnColdStep;
}

const MANIFEST = "manifest.json";
const QUARANTINE = "quarantine";

export class ColdFolder {
  readonly path: string;
  /** Why what lay here could not be used and was set aside; null where it could. */
  readonly lost: string | null;
  readonly #options: ColdFolderOptions;
  readonly #manifest: ManifestFile<ColdContent>;
  /** Names whose bytes were compared in this process. Bounded by the files there are. */
  readonly #verified = new Set<string>();
  readonly #verifying = new Map<string, Promise<string | null>>();

  private constructor(options: ColdFolderOptions, manifest: ManifestFile<ColdContent>, lost: string | null) {
    this.#options = options;
    this.#manifest = manifest;
    this.path = resolve(options.folder);
    this.lost = lost;
  }

  /** Throws MANIFEST_NEWER, or the system's error. Removes what a crash left behind. */
  static async open(options: ColdFolderOptions): Promise<ColdFolder> {
    const { folder, logger, onStep } = options;
    const manifest = await ManifestFile.open<ColdContent>({
      path: join(folder, MANIFEST),
      format: COLD_FORMAT,
      version: COLD_VERSION,
      validate: validateContent,
      logger,
      ...(onStep === undefined ? {} : { onStep: (step) => onStep(`manifest: ${step}`) }),
    });
    const files = (await readdir(folder)).filter(isColdFile);
    const orphaned = manifest.current === null && files.length > 0;
    if (orphaned) await setAside(options, files);
    const cold = new ColdFolder(options, manifest, orphaned ? "no manifest says what its files are" : null);
    await cold.removeUnnamed();
    return cold;
  }

  get content(): ColdContent {
    return this.#manifest.current ?? EMPTY_CONTENT;
  }

  /** Whether there is a manifest at all. */
  get begun(): boolean {
    return this.#manifest.current !== null;
  }

  /** Of the next manifest: part of the names of the files that it adds. */
  get nextNumber(): number {
    return this.#manifest.number + 1;
  }

  /** Everything below is in files, also where the newest manifest turns out to be damaged. */
  get forgettable(): number {
    const { current, previous } = this.#manifest;
    if (current === null) return 0;
    return previous === null || previous.log !== current.log ? 0 : Math.min(previous.offset, current.offset);
  }

  pathOf(file: FileEntry): string {
    return join(this.path, file.name);
  }

  /** Syncs a finished file and says what the manifest must know of it. */
  async seal(name: string): Promise<Pick<FileEntry, "name" | "bytes" | "sha256">> {
    const path = join(this.path, name);
    const handle = await open(path, "r+");
    try {
      await handle.chmod(0o600);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const { size } = await stat(path);
    this.#verified.add(name);
    return { name, bytes: size, sha256: await sha256Of(path) };
  }

  /** Of the whole file system. */
  async diskBytes(): Promise<number> {
    const { blocks, bsize } = await statfs(this.path);
    return blocks * bsize;
  }

  async sync(): Promise<void> {
    await syncFolder(this.path);
  }

  /** New files are on disk under their names, then the manifest names them. */
  async publish(content: ColdContent): Promise<void> {
    await syncFolder(this.path);
    await this.#manifest.write(content);
  }

  /** Removes files that neither this manifest nor the one before names. Nobody may read them any more. */
  async removeUnnamed(): Promise<void> {
    const named = new Set<string>();
    for (const content of [this.#manifest.current, this.#manifest.previous]) {
      for (const { name } of content?.points ?? []) named.add(name);
      for (const { name } of content?.states ?? []) named.add(name);
    }
    for (const name of await readdir(this.path)) {
      if (!isColdFile(name) || named.has(name)) continue;
      await rm(join(this.path, name), { force: true });
      this.#verified.delete(name);
    }
  }

  /** Why the file is not the one that was written; null where it is. Once per process, unless `again`. */
  async faultOf(file: FileEntry, again = false): Promise<string | null> {
    if (this.#verified.has(file.name) && !again) return null;
    const under = this.#verifying.get(file.name);
    if (under !== undefined) return under;
    const check = compare(this.pathOf(file), file).finally(() => this.#verifying.delete(file.name));
    this.#verifying.set(file.name, check);
    const fault = await check;
    if (fault === null) this.#verified.add(file.name);
    else this.#verified.delete(file.name);
    return fault;
  }

  /** Moves a file out of the way. The manifest is the caller's business. */
  async quarantine(file: PointFile, reason: string): Promise<void> {
    const folder = join(this.path, QUARANTINE);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    this.#options.logger.error("A telemetry file is damaged; answers are incomplete", {
      file: file.name,
      kind: file.kind,
      period: file.period,
      rows: file.rows,
      reason,
    });
    await rename(this.pathOf(file), join(folder, file.name)).catch(unlessMissing);
    await syncFolder(folder);
    await syncFolder(this.path);
  }
}

/** Nothing is deleted on doubt: what no manifest explains is kept for whoever can. */
async function setAside({ folder, clock, logger }: ColdFolderOptions, files: readonly string[]): Promise<void> {
  const stamp = new Date(clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const aside = join(folder, `lost-${stamp}`);
  await mkdir(aside, { recursive: true, mode: 0o700 });
  for (const name of files) await rename(join(folder, name), join(aside, name));
  logger.error("Telemetry files without a readable manifest were moved aside", { aside, files: files.length });
}

async function compare(path: string, { bytes, sha256 }: FileEntry): Promise<string | null> {
  try {
    const { size } = await stat(path);
    if (size !== bytes) return `it has ${size} bytes, not ${bytes}`;
    return (await sha256Of(path)) === sha256 ? null : "its checksum differs";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "it is gone";
    if (code === "EIO") return `it cannot be read (${reasonOf(error)})`;
    throw error;
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

function unlessMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}
