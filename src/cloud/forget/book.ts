/**
 * Which things are forgotten, on disk before anything is done about it: `forgotten.json`, checksummed, the one before it kept. A
 * start reads it before it reads the log, and goes on with what is not done.
 */
import { ManifestFile, readManifest } from "../../adapters/files/mod.ts";
import type { ManifestOptions } from "../../adapters/files/mod.ts";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { EpochMs, ForgottenThing, Logger } from "../../base/mod.ts";

/** In which a thing is forgotten; each is done again from its beginning where a crash came between. */
export const FORGET_PARTS = ["registration", "sessions", "rules", "shadows", "telemetry", "archive"] as const;
export type ForgetPart = (typeof FORGET_PARTS)[number];

export interface ForgetEntry {
  readonly id: number;
  readonly thing: string;
  /** Identity of the log that `below` counts in. */
  readonly log: string;
  /** What was accepted before this offset is forgotten. */
  readonly below: number;
  readonly requestedAt: EpochMs;
  readonly withRegistration: boolean;
  readonly done: readonly ForgetPart[];
  /** How much of what. */
  readonly removed: Readonly<Record<string, number>>;
  /** When all parts were done; null: not yet. */
  readonly completedAt: EpochMs | null;
  /** When the log had removed its records, too; null: it has them still, and nobody is given them. */
  readonly clearedAt: EpochMs | null;
}

interface Content {
  readonly next: number;
  readonly entries: readonly ForgetEntry[];
}

const EMPTY: Content = { next: 1, entries: [] };

export function manifestOf(path: string, logger: Logger): ManifestOptions<Content> {
  return { path, format: "tidewire-forgotten", version: 1, validate, logger };
}

export class ForgetBook {
  readonly #file: ManifestFile<Content>;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(file: ManifestFile<Content>) {
    this.#file = file;
  }

  /** Throws MANIFEST_NEWER, or the system's error; FORGOTTEN_LOST where it was there and cannot be read. */
  static async open(path: string, logger: Logger): Promise<ForgetBook> {
    const file = await ManifestFile.open(manifestOf(path, logger));
    if (file.state === "lost") throw new TidewireError("FORGOTTEN_LOST", { path });
    return new ForgetBook(file);
  }

  /** Its entries, of a platform that runs or does not; changes nothing. Throws as `open` does. */
  static async read(path: string, logger: Logger): Promise<readonly ForgetEntry[]> {
    const found = await readManifest(manifestOf(path, logger));
    if (found === "damaged") throw new TidewireError("FORGOTTEN_LOST", { path });
    return found === null ? [] : found.entries;
  }

  /** Oldest first. */
  get entries(): readonly ForgetEntry[] {
    return (this.#file.current ?? EMPTY).entries;
  }

  /** Those whose records this log still has. */
  inLog(log: string): readonly ForgottenThing[] {
    return forgottenIn(this.entries, log);
  }

  find(id: number): ForgetEntry | null {
    return this.entries.find((entry) => entry.id === id) ?? null;
  }

  /** Throws LIMIT_REACHED where there are too many whose records the log still has. */
  async add(
    request: Pick<ForgetEntry, "thing" | "log" | "below" | "requestedAt" | "withRegistration">,
  ): Promise<ForgetEntry> {
    const parts: readonly ForgetPart[] = request.withRegistration ? [] : ["registration"];
    return this.#change(({ next, entries }) => {
      const entry: ForgetEntry = { id: next, ...request, done: parts, removed: {}, completedAt: null, clearedAt: null };
      return [{ next: next + 1, entries: [...withRoom(entries), entry] }, entry];
    });
  }

  /** Changes one entry; null where it is gone. */
  async update(id: number, change: (entry: ForgetEntry) => ForgetEntry): Promise<ForgetEntry | null> {
    return this.#change((content) => {
      const entry = content.entries.find((one) => one.id === id);
      if (entry === undefined) return [content, null];
      const changed = change(entry);
      return [{ ...content, entries: content.entries.map((one) => (one.id === id ? changed : one)) }, changed];
    });
  }

  #change<T>(next: (content: Content) => readonly [Content, T]): Promise<T> {
    const turn = this.#after(this.#turn, next);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #after<T>(before: Promise<unknown>, change: (content: Content) => readonly [Content, T]): Promise<T> {
    await before;
    const present = this.#file.current ?? EMPTY;
    const [content, result] = change(present);
    if (content === present) return result;
    // Twice: were the newest copy damaged, the one before it must not have forgotten whom to forget.
    await this.#file.write(content);
    await this.#file.write(content);
    return result;
  }
}

export function forgottenIn(entries: readonly ForgetEntry[], log: string): readonly ForgottenThing[] {
  return entries.filter((entry) => entry.log === log && entry.clearedAt === null);
}

/** Of those that are over the oldest go; reports of the others are needed. */
function withRoom(entries: readonly ForgetEntry[]): readonly ForgetEntry[] {
  const { thingsMax } = LIMITS.forget;
  if (entries.length < thingsMax) return entries;
  const over = entries.findIndex(({ clearedAt, completedAt }) => clearedAt !== null && completedAt !== null);
  if (over < 0)
    throw new TidewireError("LIMIT_REACHED", { what: "forgotten things that the log still holds", limit: thingsMax });
  return entries.toSpliced(over, 1);
}

function validate(content: unknown): Content {
  const { next, entries } = content as Content;
  if (!Number.isSafeInteger(next) || !Array.isArray(entries) || !entries.every(isEntry)) {
    throw new Error("an entry is not what it should be");
  }
  return { next, entries };
}

function isEntry(value: unknown): boolean {
  const entry = value as ForgetEntry;
  return (
    typeof entry === "object" &&
    entry !== null &&
    typeof entry.thing === "string" &&
    typeof entry.log === "string" &&
    typeof entry.withRegistration === "boolean" &&
    [entry.id, entry.below, entry.requestedAt].every((one) => Number.isSafeInteger(one) && one >= 0) &&
    [entry.completedAt, entry.clearedAt].every((one) => one === null || Number.isSafeInteger(one)) &&
    Array.isArray(entry.done) &&
    entry.done.every((part) => FORGET_PARTS.includes(part)) &&
    typeof entry.removed === "object" &&
    entry.removed !== null &&
    Object.values(entry.removed).every((count) => Number.isSafeInteger(count))
  );
}
