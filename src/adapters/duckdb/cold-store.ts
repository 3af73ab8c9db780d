/** What is where at this moment, for readers who must not see it change under them, and for those who change it. */
import type { Clock, EpochMs, Logger } from "../../base/mod.ts";
import { ROLLUP_WIDTH } from "../../telemetry/mod.ts";
import type { Level, Rollup } from "../../telemetry/mod.ts";
import { ROW_GROUP_ROWS } from "./cold-files.ts";
import type { ColdContent, PointFile, PointKind } from "./cold-files.ts";
import type { ColdFolder } from "./cold-folder.ts";
import { FilePoints } from "./file-points.ts";
import type { PointColumns, PointRange } from "./file-points.ts";
import { Layout } from "./layout.ts";
import type { Generation, RollupRange } from "./layout.ts";
import { Leases } from "./leases.ts";

export interface ColdStoreOptions {
  readonly clock: Clock;
  readonly logger: Logger;
}

export class ColdStore {
  readonly folder: ColdFolder;
  readonly filePoints: FilePoints;
  readonly #clock: Clock;
  readonly #leases = new Leases();
  #layout: Layout;
  #changing: Promise<void> = Promise.resolve();

  constructor(folder: ColdFolder, { clock, logger }: ColdStoreOptions, generations: readonly Generation[]) {
    this.folder = folder;
    this.filePoints = new FilePoints((file) => folder.pathOf(file), logger);
    this.#clock = clock;
    this.#layout = this.#lay(generations, folder.content);
  }

  get layout(): Layout {
    return this.#layout;
  }

  /** What `work` sees stays in place until it is done. */
  async reading<T>(work: (view: StoreView) => Promise<T>): Promise<T> {
    const lease = this.#leases.take();
    const view = new StoreView(this);
    try {
      return await work(view);
    } catch (error) {
      // A file may have rotted, or gone, since it was compared: what is left is asked once more.
      if (!(await view.recheck())) throw error;
      return await work(new StoreView(this));
    } finally {
      this.#leases.release(lease);
    }
  }

  /** A commit has opened a generation. */
  opened(generation: Generation): void {
    this.#layout = this.#lay([...this.#layout.generations, generation], this.folder.content);
  }

  /** One change after the other, each on what the one before left. */
  async change(next: (content: ColdContent) => ColdContent): Promise<void> {
    const turn = this.#after(this.#changing, next);
    this.#changing = turn.catch(() => {});
    await turn;
  }

  async #after(before: Promise<void>, next: (content: ColdContent) => ColdContent): Promise<void> {
    await before;
    const content = next(this.folder.content);
    if (content === this.folder.content) return;
    try {
      await this.folder.publish(content);
    } finally {
      this.#layout = this.#lay(this.#layout.generations, this.folder.content);
    }
  }

  /** Both manifests, so that none of them asks the log for what it cannot mean. */
  async follow(log: string, offset: number): Promise<void> {
    if (!this.folder.begun) return;
    for (let n = 0; n < 2; n++) await this.change((content) => ({ ...content, log, offset }));
  }

  /** Nobody reads any more what the present layout does not have. */
  async unread(): Promise<void> {
    await this.#leases.afterCurrent();
  }

  /** Compares files with what was written; those that differ are put out of the way. True where there were any. */
  async verify(files: readonly PointFile[], again = false): Promise<boolean> {
    let found = false;
    for (const file of files) {
      const reason = await this.folder.faultOf(file, again);
      if (reason === null) continue;
      found = true;
      await this.#quarantine(file, reason);
    }
    return found;
  }

  async #quarantine(file: PointFile, reason: string): Promise<void> {
    await this.change((content) => {
      if (!content.points.some(({ name }) => name === file.name)) return content; // somebody else has found it
      return {
        ...content,
        points: content.points.filter(({ name }) => name !== file.name),
        quarantined: [...content.quarantined, { file, at: this.#clock.now(), reason }],
      };
    });
    await this.folder.quarantine(file, reason);
  }

  #lay(generations: readonly Generation[], content: ColdContent): Layout {
    const inTables = generations.filter(({ number }) => number > content.generation); // the others are in files
    return new Layout(inTables, content, (file) => this.folder.pathOf(file));
  }
}

export interface ReadPoints {
  readonly columns: readonly PointColumns[];
  /** SELECT series, time, value, arrival; null where there are none. */
  readonly others: string | null;
}

/** One reader's view. Every file is compared with its checksum before its first use in this process. */
export class StoreView {
  readonly #cold: ColdStore;
  readonly #used = new Map<string, PointFile>();
  #layout: Layout;
  #incomplete = false;

  constructor(cold: ColdStore) {
    this.#cold = cold;
    this.#layout = cold.layout;
  }

  /** Whether something that was asked for is damaged and therefore left out. Final after the last relation is made. */
  get incomplete(): boolean {
    return this.#incomplete;
  }

  /** Before this time, points of the level may have been removed by retention. */
  knownFrom(level: Level): EpochMs {
    return this.#layout.knownFrom(level);
  }

  /** SELECT series, time, value (DOUBLE), arrival: rows of [from, to), and maybe others. (time, arrival) is a total order. */
  numbers(from: EpochMs, to: EpochMs): Promise<string> {
    return this.#points("numbers", from, to);
  }

  /** The same, with a VARCHAR value. */
  texts(from: EpochMs, to: EpochMs): Promise<string> {
    return this.#points("texts", from, to);
  }

  /** Numbers that need no database to be read, and the relation of those that do; null where files have to be asked by one, too. */
  async columns(range: PointRange, arrivals: boolean): Promise<ReadPoints | null> {
    const { from, to } = range;
    await this.#prepare("numbers", from, to);
    const columns = await this.#cold.filePoints.read(this.#layout.files("numbers", from, to), range, arrivals);
    return columns === null ? null : { columns, others: this.#layout.tablePoints("numbers", from, to) };
  }

  /** SELECT the columns that `rollup.ts` describes: partial aggregates of the buckets that touch [from, to), and maybe others. */
  async rollup(rollup: Rollup, kind: "numbers" | "texts", range: RollupRange): Promise<string> {
    const [start, end] = [range.from - ROLLUP_WIDTH[rollup] + 1, range.to];
    await this.#prepare(rollup, start, end);
    if (rollup === "1m") await this.#prepare(kind, start, end, ({ inMinutes }) => !inMinutes);
    return this.#layout.rollup(rollup, kind, range);
  }

  tellsExtremes(rollup: Rollup, from: EpochMs, to: EpochMs): boolean {
    return this.#layout.files(rollup, from - ROLLUP_WIDTH[rollup] + 1, to).every(({ extremeTimes }) => extremeTimes);
  }

  isEmpty(kind: "numbers" | "texts", from: EpochMs, to: EpochMs): boolean {
    const layout = this.#layout;
    if (layout.knownFrom("raw") > from || layout.missing(kind, from, to, () => true)) return false;
    return layout.files(kind, from, to).length === 0;
  }

  /** Generations whose rows are in tables, for a reader that takes those by itself. */
  get generations(): readonly number[] {
    return this.#layout.generations.map(({ number }) => number);
  }

  /** Paths of a kind's files for [from, to), for a reader outside of this database. */
  async paths(kind: PointKind, from: EpochMs, to: EpochMs): Promise<readonly string[]> {
    await this.#prepare(kind, from, to);
    return this.#layout.pathsOf(this.#layout.files(kind, from, to));
  }

  /** Those of them whose points no file of minutes has. */
  async pathsWithoutMinutes(kind: "numbers" | "texts", from: EpochMs, to: EpochMs): Promise<readonly string[]> {
    await this.#prepare(kind, from, to, ({ inMinutes }) => !inMinutes);
    return this.#layout.pathsOf(this.#layout.pointsOnly(kind, from, to));
  }

  /** About how many rows of files are read for series low to high of a level's relation. */
  rowsRead(level: Level, kind: "numbers" | "texts", from: EpochMs, to: EpochMs, low: number, high: number): number {
    const files = [...this.#layout.files(level === "raw" ? kind : level, from, to)];
    if (level === "1m") files.push(...this.#layout.pointsOnly(kind, from, to));
    return files.reduce((sum, file) => sum + rowsReadOf(file, low, high), 0);
  }

  /** Whether any of the used files has changed since; those are out of the way then. */
  async recheck(): Promise<boolean> {
    const before = this.#cold.layout;
    const found = await this.#cold.verify([...this.#used.values()], true);
    return found || this.#gone(before);
  }

  async #points(kind: "numbers" | "texts", from: EpochMs, to: EpochMs): Promise<string> {
    await this.#prepare(kind, from, to);
    return this.#layout.points(kind, from, to);
  }

  async #prepare(
    kind: PointKind,
    from: EpochMs,
    to: EpochMs,
    wanted: (file: PointFile) => boolean = () => true,
  ): Promise<void> {
    const files = this.#layout.files(kind, from, to).filter(wanted);
    if (await this.#cold.verify(files)) this.#layout = this.#layout.without(this.#cold.layout.content.quarantined);
    for (const file of files) this.#used.set(file.name, file);
    if (this.#layout.missing(kind, from, to, wanted)) this.#incomplete = true;
  }

  #gone(layout: Layout): boolean {
    const there = new Set(layout.content.points.map(({ name }) => name));
    const quarantined = new Set(layout.content.quarantined.map(({ file }) => file.name));
    return [...this.#used.keys()].some((name) => !there.has(name) && quarantined.has(name));
  }
}

/** Rows are sorted by series, and whole row groups are read. */
function rowsReadOf({ rows, seriesMin, seriesMax }: PointFile, low: number, high: number): number {
  const overlap = Math.min(high, seriesMax) - Math.max(low, seriesMin) + 1;
  if (overlap <= 0) return 0;
  return Math.min(rows, Math.max(ROW_GROUP_ROWS, (rows * overlap) / (seriesMax - seriesMin + 1)));
}
