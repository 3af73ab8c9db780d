/**
 * Which things are forgotten, on disk before anything is done about it: `forgotten.json`, checksummed, the one before it kept. A
 * start reads it before it reads the log, and goes on with what is not done.
 */
import { ManifestFile, readManifest } from "../../adapters/files/mod.ts";
import type { ManifestOptions } from "../../adapters/files/mod.ts";
import { LIMITS, TidewireError } from "../../base/mod.ts";
import type { EpochMs, ForgottenThing, Logger } from "../../base/mod.ts";

/**
 * The one way out, in this order: first nothing new may come of it, then what it is, then what it said. Each part is done again
 * from its beginning where a crash came between.
 */
export const FORGET_PARTS = [
  "certificates",
  "sessions",
  "shadows",
  "codes",
  "rules",
  "registration",
  "telemetry",
  "archive",
] as const;
export type ForgetPart = (typeof FORGET_PARTS)[number];

/** What differs between those who leave. */
export interface ForgetPlan {
  /** The thing itself goes, with its certificates. */
  readonly withRegistration: boolean;
  /** What it said goes, too; of a thing that stays it is all that goes. */
  readonly erasesData: boolean;
  /** Its name is not given again. */
  readonly blocksName: boolean;
}

const OF_REGISTRATION: readonly ForgetPart[] = ["certificates", "codes", "registration"];
const OF_DATA: readonly ForgetPart[] = ["telemetry", "archive"];

export interface ForgetEntry extends ForgetPlan {
  readonly id: number;
  readonly thing: string;
  /** Identity of the log that `below` counts in. */
  readonly log: string;
  /** What was accepted before this offset is forgotten. */
  readonly below: number;
  readonly requestedAt: EpochMs;
  readonly done: readonly ForgetPart[];
  /** How much of what. */
  readonly removed: Readonly<Record<string, number>>;
  /** When all parts were done; null: not yet. */
  readonly completedAt: EpochMs | null;
  /** When the log had removed its records, too; null: it has them still, and nobody is given them. At once where they are kept. */
  readonly clearedAt: EpochMs | null;
}

interface Content {
  readonly next: number;
  readonly entries: readonly ForgetEntry[];
}

const EMPTY: Content = { next: 1, entries: [] };

export function manifestOf(path: string, logger: Logger): ManifestOptions<Content> {
  return { path, format: "tidewire-forgotten", version: 2, validate, logger };
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

  /** `disowned`: another platform sees to what they share. Throws LIMIT_REACHED where the log still has records of too many. */
  async add(
    request: Pick<ForgetEntry, "thing" | "log" | "below" | "requestedAt" | keyof ForgetPlan>,
    disowned = false,
  ): Promise<ForgetEntry> {
    const { withRegistration, erasesData, requestedAt } = request;
    const done = [...(withRegistration && !disowned ? [] : OF_REGISTRATION), ...(erasesData ? [] : OF_DATA)];
    const clearedAt = erasesData ? null : requestedAt;
    return this.#change(({ next, entries }) => {
      const entry: ForgetEntry = { id: next, ...request, done, removed: {}, completedAt: null, clearedAt };
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

function validate(content: unknown, version: number): Content {
  const { next, entries: found } = content as Content;
  if (!Number.isSafeInteger(next) || !Array.isArray(found)) throw new Error("it is no list of entries");
  const entries = version === 1 ? found.map((entry) => ofVersion1(entry as EntryOfVersion1)) : found;
  if (!entries.every(isEntry)) throw new Error("an entry is not what it should be");
  return { next, entries };
}

type EntryOfVersion1 = Omit<ForgetEntry, "done" | "erasesData" | "blocksName"> & { readonly done: readonly string[] };

/** Before retired things had the same way: data was always erased, and the registration was one part. */
function ofVersion1(entry: EntryOfVersion1): ForgetEntry {
  const registration = entry.done.includes("registration") ? OF_REGISTRATION : [];
  const done = FORGET_PARTS.filter((part) => entry.done.includes(part) || registration.includes(part));
  return { ...entry, done, erasesData: true, blocksName: false };
}

function isEntry(value: unknown): boolean {
  const entry = value as ForgetEntry;
  return (
    typeof entry === "object" &&
    entry !== null &&
    typeof entry.thing === "string" &&
    typeof entry.log === "string" &&
    [entry.withRegistration, entry.erasesData, entry.blocksName].every((one) => typeof one === "boolean") &&
    [entry.id, entry.below, entry.requestedAt].every((one) => Number.isSafeInteger(one) && one >= 0) &&
    [entry.completedAt, entry.clearedAt].every((one) => one === null || Number.isSafeInteger(one)) &&
    Array.isArray(entry.done) &&
    entry.done.every((part) => FORGET_PARTS.includes(part)) &&
    typeof entry.removed === "object" &&
    entry.removed !== null &&
    Object.values(entry.removed).every((count) => Number.isSafeInteger(count))
  );
}
