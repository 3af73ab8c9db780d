/** What the archive holds: its files, and the offset below which every message is in one of them. */
import type { Bytes, EpochMs } from "../base/mod.ts";

/** Of `CatalogContent`. */
export const CATALOG_VERSION = 1;

/** Where it is kept: saved as a whole or not at all, and the one before it is kept. */
export interface CatalogStore {
  /** What was saved last and is whole; `null` where there is none. */
  load(): Promise<CatalogContent | null>;
  save(content: CatalogContent): Promise<void>;
}

export interface ArchivedFile {
  /** Below the archive's folder, and its key in the cold tier. */
  readonly name: string;
  /** Day of reception (UTC), `2026-11-22`. */
  readonly day: string;
  /** A log that begins anew counts its offsets from 0 again: 1 is the first log of this archive. */
  readonly log: number;
  /** The file holds those messages in [from, below) that were received on its day. */
  readonly from: number;
  readonly below: number;
  readonly rows: number;
  readonly timeFrom: EpochMs;
  readonly timeTo: EpochMs;
  readonly bytes: Bytes;
  readonly sha256: string;
  readonly tier: "warm" | "cold";
  /** How often it was written anew because something in it was forgotten; left out: never. */
  readonly revision?: number;
  /** Why it is not served any more; `null` where it is. */
  readonly damaged: string | null;
}

/** A file whose removal is decided: it counts no more, and is deleted when nobody reads it. */
export interface Discarded {
  readonly name: string;
  readonly tier: ArchivedFile["tier"];
}

export interface CatalogContent {
  /** Which log `offset` counts in; `null` before the first step. */
  readonly identity: string | null;
  readonly log: number;
  /** Every message below is in a file, or was removed by retention. `null` before the first step. */
  readonly offset: number | null;
  readonly files: readonly ArchivedFile[];
  readonly discarded: readonly Discarded[];
  /** Requests to forget a thing of which no file has anything any more. */
  readonly forgotten: readonly number[];
}

export const EMPTY_CATALOG: CatalogContent = {
  identity: null,
  log: 1,
  offset: null,
  files: [],
  discarded: [],
  forgotten: [],
};

/** Changes take turns; each is on disk before it is seen. */
export class Catalog {
  readonly #store: CatalogStore;
  #content: CatalogContent;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: CatalogStore, content: CatalogContent) {
    this.#store = store;
    this.#content = content;
  }

  get content(): CatalogContent {
    return this.#content;
  }

  file(name: string): ArchivedFile | undefined {
    return this.#content.files.find((file) => file.name === name);
  }

  /** `next` gets what is there when its turn comes; returning the same saves nothing. Rejects where it could not be saved. */
  change(next: (content: CatalogContent) => CatalogContent): Promise<void> {
    const done = this.#change(this.#turn, next);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** Replaces one file's entry; nothing happens where it is gone meanwhile. */
  update(name: string, change: Partial<ArchivedFile>): Promise<void> {
    return this.change((content) =>
      content.files.some((file) => file.name === name)
        ? { ...content, files: content.files.map((file) => (file.name === name ? { ...file, ...change } : file)) }
        : content,
    );
  }

  /** Saves it once more, so that the copy before it says the same: to be done before what it no longer names is deleted. */
  again(): Promise<void> {
    return this.change((content) => ({ ...content }));
  }

  async #change(turn: Promise<unknown>, next: (content: CatalogContent) => CatalogContent): Promise<void> {
    await turn;
    const changed = next(this.#content);
    if (changed === this.#content) return;
    await this.#store.save(changed);
    this.#content = changed;
  }

  /** Takes files out; they are deleted once nobody reads them. */
  discard(files: readonly ArchivedFile[]): Promise<void> {
    return this.change((content) => withoutFiles(content, files));
  }
}

export function withoutFiles(content: CatalogContent, files: readonly ArchivedFile[]): CatalogContent {
  const names = new Set(files.map(({ name }) => name));
  const gone = content.files.filter(({ name }) => names.has(name));
  return {
    ...content,
    files: content.files.filter(({ name }) => !names.has(name)),
    discarded: [...content.discarded, ...gone.map(({ name, tier }) => ({ name, tier }))],
  };
}

/** Oldest first. */
export function inOrder(files: readonly ArchivedFile[]): readonly ArchivedFile[] {
  return files.toSorted((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : a.log - b.log || a.from - b.from));
}

const NAME = /^day=(\d{4,6}-\d\d-\d\d)\/(?:log(\d{1,6})-)?(\d{1,16})-(\d{1,16})(?:\.r(\d{1,6}))?\.parquet$/;

export interface NamedRange {
  readonly day: string;
  readonly log: number;
  readonly from: number;
  readonly below: number;
  readonly revision?: number;
}

export function nameOf({ day, log, from, below, revision = 0 }: NamedRange): string {
  const again = revision === 0 ? "" : `.r${revision}`;
  return `day=${day}/${log === 1 ? "" : `log${log}-`}${from}-${below}${again}.parquet`;
}

/** What a file's name says; `null` where it is not the archive's. */
export function rangeOf(name: string): NamedRange | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  const [, day, log, from, below, revision] = match;
  const range = { day: day!, log: Number(log ?? 1), from: Number(from), below: Number(below) };
  return revision === undefined ? range : { ...range, revision: Number(revision) };
}

/** The UTC day of a moment. */
export function dayOf(time: EpochMs): string {
  return new Date(time).toISOString().slice(0, -14).replace(/^\+0*/, "");
}

/** When a day ends. */
export function endOfDay(day: string): EpochMs {
  return (
    Date.parse(`${day.length > 10 ? "+" : ""}${day.padStart(day.length > 10 ? 12 : 10, "0")}T00:00:00Z`) + 86_400_000
  );
}

/** What was loaded, checked. Throws an `Error` that says what is wrong. */
export function catalogContent(value: unknown): CatalogContent {
  if (typeof value !== "object" || value === null) throw new Error("it is no object");
  const content = value as CatalogContent;
  const { identity, log, offset, files, discarded } = content;
  const sound =
    (identity === null || typeof identity === "string") &&
    isCount(log) &&
    (offset === null || isCount(offset)) &&
    Array.isArray(files) &&
    files.every(isFile) &&
    Array.isArray(discarded) &&
    discarded.every(({ name, tier }: Discarded) => rangeOf(name) !== null && isTier(tier));
  if (!sound) throw new Error("an entry is not what it should be");
  const { forgotten = [] } = value as Partial<CatalogContent>; // left out: written before anything could be forgotten
  if (!Array.isArray(forgotten) || !forgotten.every(isCount))
    throw new Error("what is forgotten is no list of numbers");
  return { ...content, forgotten };
}

function isFile(file: ArchivedFile): boolean {
  const range = typeof file.name === "string" ? rangeOf(file.name) : null;
  return (
    range !== null &&
    range.day === file.day &&
    range.log === file.log &&
    range.from === file.from &&
    range.below === file.below &&
    range.revision === file.revision &&
    [file.rows, file.bytes].every(isCount) &&
    Number.isFinite(file.timeFrom) &&
    Number.isFinite(file.timeTo) &&
    /^[0-9a-f]{64}$/.test(file.sha256) &&
    isTier(file.tier) &&
    (file.damaged === null || typeof file.damaged === "string")
  );
}

function isTier(tier: unknown): boolean {
  return tier === "warm" || tier === "cold";
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
