/** What one user's query reads, as files of a folder of its own: links, so nothing that happens to the originals touches it. */
import { constants } from "node:fs";
import { copyFile, link, mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import type { EventFiles } from "../../../archive/mod.ts";
import { TidewireError } from "../../../base/mod.ts";
import type { EpochMs } from "../../../base/mod.ts";
import type { PointKind } from "../cold-files.ts";
import type { StoreView } from "../cold-store.ts";
import { HotFiles } from "../hot-files.ts";
import type { HotTable } from "../hot-files.ts";
import { GENERATION_STRIDE } from "../rollup.ts";
import { TIMED_RELATIONS } from "./statement.ts";
import type { UserRelation } from "./statement.ts";
import { eventsView, userViews } from "./views.ts";
import type { ColdNames, UserFiles, UserView } from "./views.ts";

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

/** The event archive, as far as it is read here. */
export type OpenEvents = (from: EpochMs, to: EpochMs, signal?: AbortSignal) => Promise<EventFiles>;

/** In the asker's folder. */
const EVENTS_FOLDER = "events";

export class UserSnapshots {
  /** Null where the points are in another server, which answers SQL itself. */
  readonly #source: SnapshotSource | null;
  readonly #hot: HotFiles;
  readonly #events: OpenEvents | null;

  /** `folder`: for rows that are in tables; the store's option `snapshotFolder`. `events`: null where no archive is kept. */
  constructor(source: SnapshotSource | null, folder: string, events: OpenEvents | null = null) {
    this.#source = source;
    this.#events = events;
    this.#hot = new HotFiles(folder);
  }

  /** Puts the files of these relations, as of the last commit (events: as far as they are archived), into `target`, and says how they are read. */
  async into(
    target: string,
    relations: readonly UserRelation[],
    range: TimeRange,
    signal?: AbortSignal,
  ): Promise<UserSnapshot> {
    const stored = new Set(relations.filter((relation) => relation !== "events"));
    const parts: UserSnapshot[] = [];
    if (stored.size > 0) parts.push(await this.#stored(target, stored, range, signal));
    if (relations.includes("events")) parts.push(await this.#archived(target, range, signal));
    return { views: parts.flatMap(({ views }) => views), incomplete: parts.some(({ incomplete }) => incomplete) };
  }

  async #archived(target: string, { from, to }: TimeRange, signal?: AbortSignal): Promise<UserSnapshot> {
    if (this.#events === null) {
      const reason = "there is no relation 'events' here, because no archive is kept";
      throw new TidewireError("QUERY_NOT_ALLOWED", { at: "", reason });
    }
    const files = await this.#events(from, to, signal);
    try {
      const folder = join(target, EVENTS_FOLDER);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      for (const path of files.paths) await take(path, folder);
      const view = eventsView(files.paths.map((path) => `${EVENTS_FOLDER}/${basename(path)}`));
      return { views: [view], incomplete: files.missing.length > 0 };
    } finally {
      files.release();
    }
  }

  async #stored(
    target: string,
    wanted: ReadonlySet<UserRelation>,
    range: TimeRange,
    signal?: AbortSignal,
  ): Promise<UserSnapshot> {
    if (this.#source === null) {
      const reason =
        "only 'things' and 'events' can be asked for here: the points are in PostgreSQL, which answers SQL itself, over its view 'readings'";
      throw new TidewireError("QUERY_NOT_ALLOWED", { at: "", reason });
    }
    return this.#source.read(async (connection, view) => {
      const cold = await coldPaths(view, wanted, range);
      const { generations } = view;
      const needsPoints = [...wanted].some((relation) => TIMED_RELATIONS.has(relation));
      const tables = [SERIES, ...generations.flatMap((number) => tablesOf(number, needsPoints))];
      return this.#hot.with(connection, tables, async (hot) => {
        for (const path of Object.values(cold).flat()) await take(path, target);
        const files: UserFiles = {
          series: await this.#take(target, hot.get("series") ?? []),
          numbers: await this.#take(target, hotFiles(hot, "numbers", generations)),
          texts: await this.#take(target, hotFiles(hot, "texts", generations)),
          cold: namesOf(cold),
        };
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

/** Files of what is read, compared with their checksums. */
async function coldPaths(
  view: StoreView,
  wanted: ReadonlySet<UserRelation>,
  { from, to }: TimeRange,
): Promise<ColdNames> {
  const raw = wanted.has("telemetry");
  const minutes = wanted.has("rollups_1m");
  const kind = (name: PointKind, is: boolean) => (is ? view.paths(name, from, to) : Promise.resolve([]));
  return {
    numbers: await kind("numbers", raw),
    texts: await kind("texts", raw),
    "1m": await kind("1m", minutes),
    "1h": await kind("1h", wanted.has("rollups_1h")),
    "1d": await kind("1d", wanted.has("rollups_1d")),
    numbersWithoutMinutes: minutes ? await view.pathsWithoutMinutes("numbers", from, to) : [],
    textsWithoutMinutes: minutes ? await view.pathsWithoutMinutes("texts", from, to) : [],
  };
}

function namesOf(cold: ColdNames): ColdNames {
  const names = Object.entries(cold).map(([kind, paths]) => [kind, paths.map((path) => basename(path))] as const);
  return Object.fromEntries(names) as unknown as ColdNames;
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
