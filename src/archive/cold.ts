/** The cold tier: old files are put there, verified there, and only then deleted here; they are fetched when asked for. */
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { Bytes, EpochMs, Logger, Millis, ObjectSource, Objects } from "../base/mod.ts";
import type { ArchivedFile, Catalog } from "./catalog.ts";
import { endOfDay, inOrder } from "./catalog.ts";
import type { ArchiveCounters } from "./counters.ts";
import type { WarmFiles } from "./files.ts";
import { TEMPORARY } from "./files.ts";
import type { ArchiveFolder, Digest } from "./ports.ts";

export interface ColdTierOptions {
  readonly objects: Objects;
  readonly catalog: Catalog;
  readonly files: WarmFiles;
  readonly folder: ArchiveFolder;
  readonly counters: ArchiveCounters;
  readonly logger: Logger;
  /** A day's files move so long after its end … */
  readonly moveAfter: Millis;
  /** … or earlier where all files here are larger than this. */
  readonly bytesMax: Bytes | null;
  /** What fetched files may take here. */
  readonly cacheBytesMax: Bytes;
  /** Hashes what comes by. */
  readonly digestOf: (content: AsyncIterable<Uint8Array>) => Promise<Digest>;
}

const CACHE = "cache/";

export class ColdTier {
  readonly #options: ColdTierOptions;
  /** Fetched files and their bytes, least recently used first; bounded by `cacheBytesMax`. */
  readonly #cached = new Map<string, Bytes>();
  /** Fetches under way; bounded by the questions that may wait at once. */
  readonly #fetching = new Map<string, Promise<boolean>>();
  #problem: string | null = null;

  constructor(options: ColdTierOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.objects.name;
  }

  /** Why files wait here that should be there; `null` where none does. */
  get problem(): string | null {
    return this.#problem;
  }

  get cachedBytes(): Bytes {
    return [...this.#cached.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Forgets what another process has cached: it is not known to be whole. */
  async open(): Promise<void> {
    const { folder } = this.#options;
    for (const { name } of await folder.list()) if (name.startsWith(CACHE)) await folder.remove(name);
  }

  /** Moves the oldest file that is due; whether there was one. A store that cannot be reached keeps it here. */
  async moveOnce(now: EpochMs, signal: AbortSignal): Promise<boolean> {
    const { counters, logger, objects } = this.#options;
    const file = this.#due(now);
    if (file === null) {
      this.#problem = null;
      return false;
    }
    try {
      const moved = await this.#move(file, signal);
      if (moved) counters.moved++;
      this.#problem = null;
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      counters.movesFailed++;
      const reason = reasonOf(error);
      if (this.#problem !== reason) {
        logger.error("A file of events cannot be moved to the cold tier; it stays here and is tried again", {
          file: file.name,
          store: objects.name,
          reason,
        });
      }
      this.#problem = reason;
      return false;
    }
  }

  /** Whether the file lies in the cache afterwards, whole. Rejects where the store cannot be reached. */
  async bring(file: ArchivedFile, signal: AbortSignal): Promise<boolean> {
    if (this.#cached.has(file.name)) {
      this.#touch(file.name, file.bytes);
      return true;
    }
    const running = this.#fetching.get(file.name);
    if (running !== undefined) return running;
    const fetching = this.#bring(file, signal).finally(() => this.#fetching.delete(file.name));
    this.#fetching.set(file.name, fetching);
    return fetching;
  }

  /** Where a fetched file lies. */
  path(name: string): Promise<string> {
    return this.#options.folder.place(cacheName(name));
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    await this.#options.objects.remove(name, signal);
    if (this.#cached.delete(name)) await this.#options.folder.remove(cacheName(name));
  }

  /** Removes what has not been asked for the longest until there is room for `bytes` more. */
  async makeRoom(bytes: Bytes): Promise<void> {
    const { cacheBytesMax, files, folder, counters } = this.#options;
    let total = this.cachedBytes + bytes;
    for (const [name, size] of this.#cached) {
      if (total <= cacheBytesMax) return;
      if (files.leases.held(name)) continue;
      this.#cached.delete(name);
      await folder.remove(cacheName(name));
      counters.evicted++;
      total -= size;
    }
  }

  #due(now: EpochMs): ArchivedFile | null {
    const { catalog, moveAfter, bytesMax } = this.#options;
    const here = inOrder(catalog.content.files).filter(({ tier, damaged }) => tier === "warm" && damaged === null);
    const oldest = here[0];
    if (oldest === undefined) return null;
    if (endOfDay(oldest.day) + moveAfter < now) return oldest;
    const bytes = here.reduce((sum, file) => sum + file.bytes, 0);
    return bytesMax !== null && bytes > bytesMax && here.length > 1 ? oldest : null;
  }

  /** Put, verify, say so, delete: killed after any of them, the next attempt begins anew and harms nothing. */
  async #move(file: ArchivedFile, signal: AbortSignal): Promise<boolean> {
    const { objects, catalog, files, folder, logger } = this.#options;
    if (!(await files.sound(file, "again", signal))) return false;
    const { name, bytes, sha256 } = file;
    const source: ObjectSource = { bytes, sha256, read: (from, below) => folder.read(name, from, below) };
    await objects.put(name, source, signal);
    await this.#verify(file, signal);
    await catalog.update(name, { tier: "cold" });
    await catalog.again();
    await files.deleteUnread(name);
    logger.debug("A file of events was moved to the cold tier", { file: name, bytes, store: objects.name });
    return true;
  }

  async #verify({ name, bytes, sha256 }: ArchivedFile, signal: AbortSignal): Promise<void> {
    const { objects, digestOf } = this.#options;
    const facts = await objects.facts(name, signal);
    if (facts === null) throw damaged(objects, name, "it is not there though it was taken");
    if (facts.bytes !== bytes) throw damaged(objects, name, `it has ${facts.bytes} bytes instead of ${bytes}`);
    const there = facts.sha256 ?? (await digestOf(objects.get(name, signal))).sha256;
    if (there !== sha256) throw damaged(objects, name, "its checksum differs");
  }

  async #bring(file: ArchivedFile, signal: AbortSignal): Promise<boolean> {
    const { objects, folder, catalog, counters, logger } = this.#options;
    const { name } = file;
    const temporary = `${cacheName(name)}${TEMPORARY}`;
    await this.makeRoom(file.bytes);
    try {
      const digest = await folder.write(temporary, objects.get(name, signal));
      if (digest.sha256 === file.sha256 && digest.bytes === file.bytes) {
        await folder.publish(temporary, cacheName(name));
        this.#touch(name, file.bytes);
        counters.fetched++;
        return true;
      }
    } catch (error) {
      await folder.remove(temporary).catch(() => {});
      if (!(error instanceof TidewireError && error.code === "NOT_FOUND")) throw error;
    }
    await folder.remove(temporary);
    counters.damaged++;
    const reason = "the cold tier has it no more, or has other bytes";
    logger.error("A file of the event archive is damaged and is not served any more", { file: name, reason });
    await catalog.update(name, { damaged: reason });
    return false;
  }

  #touch(name: string, bytes: Bytes): void {
    this.#cached.delete(name);
    this.#cached.set(name, bytes);
  }
}

function cacheName(name: string): string {
  return CACHE + name.replace("/", "_");
}

function damaged(objects: Objects, key: string, reason: string): TidewireError {
  return new TidewireError("OBJECT_DAMAGED", { store: objects.name, key, reason });
}
