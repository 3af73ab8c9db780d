/** Which files answer a question about events; those in the cold tier are fetched. */
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { Bytes, EpochMs } from "../base/mod.ts";
import type { ArchivedFile, Catalog } from "./catalog.ts";
import { inOrder } from "./catalog.ts";
import type { ColdTier } from "./cold.ts";
import type { WarmFiles } from "./files.ts";
import type { ArchiveFolder } from "./ports.ts";

/** Events that were archived and cannot be had. */
export interface MissingEvents {
  readonly file: string;
  readonly day: string;
  readonly rows: number;
  readonly reason: string;
}

export interface EventFiles {
  /** Parquet files, whole and checked, oldest first; they stay until `release`. May be none. */
  readonly paths: readonly string[];
  /** What is left out; an answer says so. */
  readonly missing: readonly MissingEvents[];
  /** Log offset below which every event is in the files; what is newer is not archived yet. `null`: nothing is. */
  readonly below: number | null;
  /** Must be called when the files are not read any more; twice is harmless. */
  release(): void;
}

export interface ReaderOptions {
  readonly catalog: Catalog;
  readonly files: WarmFiles;
  readonly folder: ArchiveFolder;
  readonly cold: ColdTier | null;
  readonly cacheBytesMax: Bytes;
}

export class EventReader {
  readonly #options: ReaderOptions;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /**
   * The files with events that were received in [from, to). Rejects with LIMIT_REACHED where more of them lie in the cold
   * tier than may be fetched for one question.
   */
  async open(from: EpochMs, to: EpochMs, signal: AbortSignal): Promise<EventFiles> {
    const { catalog, files, cacheBytesMax } = this.#options;
    const { content } = catalog;
    const wanted = inOrder(content.files).filter(({ timeFrom, timeTo }) => timeTo >= from && timeFrom < to);
    const coldBytes = wanted.reduce((sum, { tier, bytes }) => sum + (tier === "cold" ? bytes : 0), 0);
    if (coldBytes > cacheBytesMax) {
      const limit = `${Math.floor(cacheBytesMax / 1_048_576)} MiB`;
      throw new TidewireError("LIMIT_REACHED", {
        what: "event files that one query fetches from the cold tier",
        limit,
      });
    }
    for (const { name } of wanted) files.leases.take(name);
    let held = true;
    const release = (): void => {
      if (held) for (const { name } of wanted) files.leases.release(name);
      held = false;
    };
    try {
      const paths: string[] = [];
      const missing: MissingEvents[] = [];
      for (const file of wanted) {
        signal.throwIfAborted();
        const found = await this.#find(file, signal);
        if (found.kind === "whole") paths.push(found.path);
        else missing.push({ file: file.name, day: file.day, rows: file.rows, reason: found.reason });
      }
      return { paths, missing, below: content.offset, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #find(
    file: ArchivedFile,
    signal: AbortSignal,
  ): Promise<
    { readonly kind: "whole"; readonly path: string } | { readonly kind: "missing"; readonly reason: string }
  > {
    const { catalog, files, folder, cold } = this.#options;
    if (file.damaged !== null) return { kind: "missing", reason: file.damaged };
    if (file.tier === "warm" && (await files.sound(file, "once", signal))) {
      return { kind: "whole", path: await folder.place(file.name) };
    }
    const now = catalog.file(file.name) ?? file;
    if (now.damaged !== null) return { kind: "missing", reason: now.damaged };
    if (cold === null) return { kind: "missing", reason: "it lies in a cold tier, and none is configured" };
    try {
      if (await cold.bring(now, signal)) return { kind: "whole", path: await cold.path(file.name) };
      return { kind: "missing", reason: catalog.file(file.name)?.damaged ?? "it is damaged" };
    } catch (error) {
      if (signal.aborted) throw error;
      return { kind: "missing", reason: reasonOf(error) };
    }
  }
}
