/**
 * Small files of a day become one. As in a log-structured merge tree a file is rewritten only together with others that are
 * about as large, so a message is rewritten a few times at most, however many steps a day has.
 */
import type { EpochMs, Limits } from "../base/mod.ts";
import type { ArchivedFile, Catalog } from "./catalog.ts";
import { endOfDay, inOrder, withoutFiles } from "./catalog.ts";
import type { ArchiveCounters } from "./counters.ts";
import type { WarmFiles } from "./files.ts";
import type { ArchiveFolder, EventFormat } from "./ports.ts";

export interface MergeOptions {
  readonly catalog: Catalog;
  readonly files: WarmFiles;
  readonly folder: ArchiveFolder;
  readonly format: EventFormat;
  readonly limits: Limits["archive"];
  readonly counters: ArchiveCounters;
}

/** An older file joins newer ones while it is at most so many times as large as all of them. */
const RATIO = 2;

/** Merges what is due, once; whether there was anything. Rejects where it failed: the sources stay. */
export async function mergeOnce(options: MergeOptions, now: EpochMs): Promise<boolean> {
  const { catalog, files, folder, format, counters } = options;
  const sources = dueMerge(catalog.content.files, options.limits, now);
  if (sources === null) return false;
  for (const source of sources) if (!(await files.sound(source, "again"))) return true; // what is damaged is not mixed in
  const [first, last] = [sources[0]!, sources.at(-1)!];
  const paths = await Promise.all(sources.map(({ name }) => folder.place(name)));
  const range = { day: first.day, log: first.log, from: first.from, below: last.below };
  const rows = sources.reduce((sum, file) => sum + file.rows, 0);
  const merged = await files.make(range, async (path) => {
    const facts = await format.merge(paths, path);
    if (facts.rows !== rows) throw new Error(`a merge of ${rows} messages has ${facts.rows}`);
    return facts;
  });
  await catalog.change((content) => {
    const left = withoutFiles(content, sources);
    return { ...left, files: [...left.files, merged] };
  });
  counters.merges++;
  return true;
}

/** Neighbours of one day that shall become one file, in their order; `null` where nothing is to be done. */
export function dueMerge(
  all: readonly ArchivedFile[],
  limits: Limits["archive"],
  now: EpochMs,
): readonly ArchivedFile[] | null {
  const days = Map.groupBy(inOrder(all), ({ day, log }) => `${day} ${log}`);
  for (const day of days.values()) {
    const over = now >= endOfDay(day[0]!.day) + limits.dayClosedAfter;
    const run = over ? fullRun(day, limits) : smallRun(day, limits);
    if (run.length >= (over ? 2 : limits.mergeFilesMin)) return run;
  }
  return null;
}

/** The newest files of a day that is not over, as long as they are about as large as those after them. */
function smallRun(day: readonly ArchivedFile[], limits: Limits["archive"]): readonly ArchivedFile[] {
  let from = day.length;
  let bytes = 0;
  while (from > 0) {
    const file = day[from - 1]!;
    const joins = from === day.length || (file.bytes <= RATIO * bytes && isNeighbour(file, day[from]!));
    if (!mergeable(file) || !joins || bytes + file.bytes > limits.mergedBytesMax) break;
    bytes += file.bytes;
    from--;
  }
  return day.slice(from);
}

/** Of a day that is over: the first neighbours that fit into one file. */
function fullRun(day: readonly ArchivedFile[], limits: Limits["archive"]): readonly ArchivedFile[] {
  let run: ArchivedFile[] = [];
  let bytes = 0;
  for (const file of day) {
    const joins = mergeable(file) && (run.length === 0 || isNeighbour(run.at(-1)!, file));
    if (joins && bytes + file.bytes <= limits.mergedBytesMax) {
      run.push(file);
      bytes += file.bytes;
      continue;
    }
    if (run.length >= 2) return run;
    run = mergeable(file) ? [file] : [];
    bytes = file.bytes;
  }
  return run;
}

function mergeable({ tier, damaged }: ArchivedFile): boolean {
  return tier === "warm" && damaged === null;
}

/** Their order is that of their offsets also where other days' messages lie between: the file then spans those. */
function isNeighbour(before: ArchivedFile, after: ArchivedFile): boolean {
  return before.below <= after.from;
}
