/** The archive's files on this machine: written so that a crash leaves all of one or none, and checked before they are used. */
import { reasonOf } from "../base/mod.ts";
import type { Logger } from "../base/mod.ts";
import type { ArchivedFile, Catalog, NamedRange } from "./catalog.ts";
import { nameOf } from "./catalog.ts";
import type { ArchiveCounters } from "./counters.ts";
import { Leases } from "./leases.ts";
import type { ArchiveFolder, EventFileFacts } from "./ports.ts";

export const TEMPORARY = ".tmp";
export const QUARANTINE = "quarantine/";

export interface EventFilesOptions {
  readonly folder: ArchiveFolder;
  readonly catalog: Catalog;
  readonly counters: ArchiveCounters;
  readonly logger: Logger;
}

export class WarmFiles {
  readonly leases = new Leases();
  readonly #options: EventFilesOptions;
  /** Checked, or written, by this process. Bounded by the files of the archive. */
  readonly #known = new Set<string>();
  /** To be deleted when nobody reads them; the same bound. */
  readonly #unwanted = new Set<string>();

  constructor(options: EventFilesOptions) {
    this.#options = options;
  }

  /** A new file, durable and known; not in the catalog yet. */
  async make(range: NamedRange, write: (path: string) => Promise<EventFileFacts>): Promise<ArchivedFile> {
    const { folder } = this.#options;
    const name = nameOf(range);
    const temporary = `${name}${TEMPORARY}`;
    try {
      const facts = await write(await folder.place(temporary));
      await folder.publish(temporary, name);
      const digest = await folder.digest(name);
      if (digest === null) throw new Error(`${name} vanished while it was written`);
      this.#known.add(name);
      return { name, ...range, ...facts, ...digest, tier: "warm", damaged: null };
    } catch (error) {
      await folder.remove(temporary).catch(() => {}); // the disk may be the reason; the next start tries again
      throw error;
    }
  }

  /** Whether a warm file's bytes are those that were written. One that differs is put aside, and the catalog says so. */
  async sound(file: ArchivedFile, thoroughness: "once" | "again" = "once", signal?: AbortSignal): Promise<boolean> {
    if (file.damaged !== null) return false;
    if (thoroughness === "once" && this.#known.has(file.name)) return true;
    const digest = await this.#options.folder.digest(file.name, signal);
    if (digest?.sha256 === file.sha256 && digest.bytes === file.bytes) {
      this.#known.add(file.name);
      return true;
    }
    // It may have been merged or moved while it was read.
    const { catalog } = this.#options;
    if (catalog.file(file.name)?.tier !== "warm") return false;
    await this.#putAside(file, digest === null ? "it is missing" : "its bytes are not those that were written");
    return false;
  }

  /** Deletes a file that counts no more: at once, or by `sweep` where somebody still reads it. Whether it is gone. */
  async deleteUnread(name: string): Promise<boolean> {
    this.#unwanted.add(name);
    if (this.leases.held(name)) return false;
    await this.#options.folder.remove(name);
    this.#known.delete(name);
    this.#unwanted.delete(name);
    return true;
  }

  async sweep(): Promise<void> {
    for (const name of this.#unwanted) await this.deleteUnread(name);
  }

  async #putAside(file: ArchivedFile, damaged: string): Promise<void> {
    const { folder, catalog, counters, logger } = this.#options;
    this.#known.delete(file.name);
    counters.damaged++;
    logger.error("A file of the event archive is damaged and is not served any more", { file: file.name, damaged });
    await catalog.update(file.name, { damaged }); // first: whatever happens to the file, it is not served
    try {
      await folder.publish(file.name, `${QUARANTINE}${file.name.replace("/", "_")}`);
    } catch (error) {
      logger.warn("A damaged file stays where it is", { file: file.name, reason: reasonOf(error) });
    }
  }
}
