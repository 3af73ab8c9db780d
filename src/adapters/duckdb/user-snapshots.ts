/** What one user's query reads, as files of a folder of its own: links, so nothing that happens to the originals touches it. */
import { constants } from "node:fs";
import { copyFile, link } from "node:fs/promises";
import { basename, join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import type { EpochMs } from "../../base/mod.ts";
import { ROLLUPS } from "../../telemetry/mod.ts";
import type { PointKind } from "./cold-files.ts";
import type { StoreView } from "./cold-store.ts";
import { HotFiles } from "./hot-files.ts";
import type { HotTable } from "./hot-files.ts";
import { GENERATION_STRIDE } from "./rollup.ts";
import type { UserRelation } from "./user-sql.ts";
import { rollupOf, userViews } from "./user-views.ts";
import type { UserFiles, UserView } from "./user-views.ts";

/** The store, as far as it is read here. */
export interface SnapshotSource {
  read<T>(work: (connection: DuckDBConnection, view: StoreView) => Promise<T>, signal?: AbortSignal): Promise<T>;
}

/** Points with from <= time < to are wanted; others may be there, too. */
export interface TimeRange {
  readonly from: EpochMs;
  readonly to: EpochMs;
}

export interface UserSnapshot {
  readonly views: readonly UserView[];
  /** Files that should be there are damaged: the answer lacks their points. */
  readonly incomplete: boolean;
}

/** Every time that a point may have. */
export const ALL_TIMES: TimeRange = { from: -8.64e15, to: 8.64e15 };

export class UserSnapshots {
  readonly #source: SnapshotSource;
  readonly #hot: HotFiles;

  /** `folder`: for rows that are in tables; the store's option `snapshotFolder`. */
  constructor(source: SnapshotSource, folder: string) {
    this.#source = source;
    this.#hot = new HotFiles(folder);
  }

  /** Puts the files of these relations, as of the last commit, into `target`, and says how they are read. */
  into(
    target: string,
    relations: readonly UserRelation[],
    range: TimeRange,
    signal?: AbortSignal,
  ): Promise<UserSnapshot> {
    const wanted = new Set(relations);
    return this.#source.read(async (connection, view) => {
      const kinds = kindsOf(wanted);
      const cold = new Map<PointKind, readonly string[]>();
      for (const kind of kinds) cold.set(kind, await view.files(kind, range.from, range.to));
      const { generations } = view;
      const tables = [SERIES, ...generations.flatMap((number) => tablesOf(number, kinds.length > 0))];
      return this.#hot.with(connection, tables, async (hot) => {
        const files: UserFiles = {
          series: await this.#take(target, hot.get("series") ?? []),
          numbers: await this.#take(target, hotFiles(hot, "numbers", generations)),
          texts: await this.#take(target, hotFiles(hot, "texts", generations)),
          cold: new Map(),
        };
        for (const [kind, paths] of cold) {
          for (const path of paths) await take(path, target);
          (files.cold as Map<PointKind, readonly string[]>).set(
            kind,
            paths.map((path) => basename(path)),
          );
        }
        return { views: userViews(wanted, files), incomplete: view.incomplete };
      });
    }, signal);
  }

  /** Gives back the space that the rows of tables take. */
  forget(): Promise<void> {
    return this.#hot.forget();
  }

  async #take(target: string, files: readonly string[]): Promise<readonly string[]> {
    for (const file of files) await take(join(this.#hot.folder, file), target);
    return files;
  }
}

const SERIES: HotTable = { name: "series", columns: "id, thing, measurement, field, type", wanted: true };

function tablesOf(generation: number, wanted: boolean): readonly HotTable[] {
  const columns = `series, time, value, ${generation * GENERATION_STRIDE} + rowid AS arrival`;
  return [
    { name: `numbers_${generation}`, columns, wanted },
    { name: `texts_${generation}`, columns, wanted },
  ];
}

function hotFiles(
  hot: ReadonlyMap<string, readonly string[]>,
  kind: "numbers" | "texts",
  generations: readonly number[],
): readonly string[] {
  return generations.flatMap((number) => hot.get(`${kind}_${number}`) ?? []);
}

function kindsOf(relations: ReadonlySet<UserRelation>): readonly PointKind[] {
  const raw: readonly PointKind[] = relations.has("telemetry") ? ["numbers", "texts"] : [];
  return [...raw, ...ROLLUPS.filter((rollup) => relations.has(rollupOf(rollup)))];
}

/** A link where the file system has them, else a copy (a cheap one where it can). */
async function take(path: string, target: string): Promise<void> {
  const to = join(target, basename(path));
  try {
    await link(path, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code !== "EXDEV" && code !== "EPERM" && code !== "ENOTSUP" && code !== "EMLINK") throw error;
    await copyFile(path, to, constants.COPYFILE_FICLONE);
  }
}
