/**
 * A small file that says which other files count: replaced as a whole, checksummed, with the one before it kept.
 *
 * Two lines: `tidewire-manifest <SHA-256 of the second line, hexadecimal>`, then JSON
 * `{"format", "version", "number", "content"}`. `number` grows by one with every write. A write goes
 *
 *   1. temporary file, synced   2. `<file>` becomes `<file>.previous`   3. temporary file becomes `<file>`   4. folder synced
 *
 * so that at every moment one of the two is whole. A crash between 2 and 3 leaves only `.previous`, which is then the
 * newest. Whoever removes files must keep what either of them names (`current` and `previous`).
 */
import { createHash } from "node:crypto";
import { mkdir, open, readFile, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import { syncFolder } from "../sync-folder.ts";

export interface ManifestOptions<C> {
  /** `…/manifest.json`; its folder is made. */
  readonly path: string;
  /** What the content is, e.g. `tidewire-telemetry`; a file of another kind is refused as damaged. */
  readonly format: string;
  /** Of the content's layout. A newer one is not read (MANIFEST_NEWER); older ones are handed to `validate`. */
  readonly version: number;
  /** Throws where `content` is not what `version` says. */
  readonly validate: (content: unknown, version: number) => C;
  readonly logger: Logger;
  /** Told before each step of a write; a test waits in it, or throws from it. */
  readonly onStep?: (step: ManifestStep) => void | Promise<void>;
}

export type ManifestStep = "write" | "keep-previous" | "replace" | "sync-folder";

export type ManifestState =
  /** Nothing was ever written here. */
  | "empty"
  | "whole"
  /** The newest cannot be read; the one before it is `current` now. */
  | "fell-back"
  /** There were manifests, and none of them can be read. */
  | "lost";

interface Document<C> {
  readonly number: number;
  readonly content: C;
}

const HEAD = /^tidewire-manifest ([0-9a-f]{64})$/;
/** A manifest of 100,000 files is 30 MB; what is larger is no manifest of ours. */
const BYTES_MAX = 256 * 1024 * 1024;

export class ManifestFile<C> {
  readonly #options: ManifestOptions<C>;
  #current: Document<C> | null;
  #previous: Document<C> | null;
  readonly state: ManifestState;
  /** A failed write may have left the file in either state; the next one starts from what is there. */
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    options: ManifestOptions<C>,
    state: ManifestState,
    current: Document<C> | null,
    previous: Document<C> | null,
  ) {
    this.#options = options;
    this.state = state;
    this.#current = current;
    this.#previous = previous;
  }

  /** Throws MANIFEST_NEWER, or the system's error. Damaged ones are moved to `<file>.damaged-<number>` and told. */
  static async open<C>(options: ManifestOptions<C>): Promise<ManifestFile<C>> {
    const { path } = options;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await removeTemporary(path);
    const newest = await read(path, options);
    const before = await read(previousOf(path), options);
    const damaged = newest === "damaged" || before === "damaged";
    if (newest === "damaged") await setAside(path, options.logger);
    if (before === "damaged") await setAside(previousOf(path), options.logger);
    const current = documentOf(newest) ?? documentOf(before);
    const previous = documentOf(newest) === null ? null : documentOf(before);
    if (current === null) return new ManifestFile(options, damaged ? "lost" : "empty", null, null);
    const state = newest === "damaged" ? "fell-back" : "whole";
    return new ManifestFile(options, state, current, previous);
  }

  get current(): C | null {
    return this.#current?.content ?? null;
  }

  /** The one before; null where there was none, or it cannot be read. */
  get previous(): C | null {
    return this.#previous?.content ?? null;
  }

  /** Of `current`; 0 before the first write. */
  get number(): number {
    return this.#current?.number ?? 0;
  }

  /**
   * One after the other. Throws the system's error: `current` is then what it was, or, where only the last sync failed,
   * what was written; `previous` is on disk in any case.
   */
  async write(content: C): Promise<void> {
    const turn = this.#write(this.#writing, content);
    this.#writing = turn.catch(() => {});
    await turn;
  }

  async #write(before: Promise<void>, content: C): Promise<void> {
    await before;
    const { path, format, version, onStep = () => {} } = this.#options;
    const document = { number: this.number + 1, content };
    const body = JSON.stringify({ format, version, ...document });
    const temporary = `${path}.${document.number}.tmp`;
    await onStep("write");
    try {
      await writeSynced(temporary, `tidewire-manifest ${sha256(body)}\n${body}\n`);
      await onStep("keep-previous");
      await rename(path, previousOf(path)).catch(unlessMissing);
      await onStep("replace");
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }); // a full disk must not fill with attempts
      throw error;
    }
    this.#previous = this.#current;
    this.#current = document; // also where the sync fails: it may be what the next start finds
    await onStep("sync-folder");
    await syncFolder(dirname(path));
  }
}

/** What is current, for who only looks; null where there is none. */
export async function readManifest<C>(options: ManifestOptions<C>): Promise<C | null | "damaged"> {
  const newest = await read(options.path, options);
  if (typeof newest !== "string") return newest.content;
  const before = await read(previousOf(options.path), options);
  if (typeof before !== "string") return before.content;
  return newest === "damaged" || before === "damaged" ? "damaged" : null;
}

function previousOf(path: string): string {
  return `${path}.previous`;
}

function documentOf<C>(found: Document<C> | "absent" | "damaged"): Document<C> | null {
  return typeof found === "string" ? null : found;
}

async function read<C>(path: string, options: ManifestOptions<C>): Promise<Document<C> | "absent" | "damaged"> {
  let text: string;
  try {
    const bytes = await readFile(path);
    if (bytes.length > BYTES_MAX) return "damaged";
    text = bytes.toString("utf8");
  } catch (error) {
    unlessMissing(error);
    return "absent";
  }
  const body = bodyOf(text);
  if (body === null) return "damaged";
  const { format, version, number, content } = JSON.parse(body) as Record<string, unknown>;
  if (format !== options.format || typeof version !== "number" || typeof number !== "number") return "damaged";
  if (version > options.version) {
    throw new TidewireError("MANIFEST_NEWER", { path, version, known: options.version });
  }
  try {
    return { number, content: options.validate(content, version) };
  } catch (error) {
    options.logger.error("A manifest's content makes no sense", { path, reason: reasonOf(error) });
    return "damaged";
  }
}

/** Null where it is not what was written. */
function bodyOf(text: string): string | null {
  const [head = "", body = ""] = text.split("\n", 2);
  return HEAD.exec(head)?.[1] === sha256(body) && text === `${head}\n${body}\n` ? body : null;
}

/** Whether a manifest of any kind is what was written; true where there is none. */
export async function isManifestWhole(path: string): Promise<boolean> {
  try {
    return bodyOf(await readFile(path, "utf8")) !== null;
  } catch (error) {
    unlessMissing(error);
    return true;
  }
}

async function setAside(path: string, logger: Logger): Promise<void> {
  const taken = new Set(await readdir(dirname(path)));
  let n = 1;
  while (taken.has(`${basename(path)}.damaged-${n}`)) n++;
  const aside = `${path}.damaged-${n}`;
  await rename(path, aside);
  logger.error("A manifest is damaged and was moved aside", { path, aside });
}

async function removeTemporary(path: string): Promise<void> {
  const folder = dirname(path);
  for (const name of await readdir(folder)) {
    if (name.startsWith(`${basename(path)}.`) && /\.\d+\.tmp$/.test(name)) await rm(join(folder, name));
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const handle = await open(path, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function unlessMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}
