/**
 * A thing is forgotten: every file that has messages of it is written anew without them, here and in the cold tier, and the old
 * one is deleted in both. Done again from its beginning where a crash came between; what was done then is found done.
 */
import type { EpochMs, ForgottenMessages } from "../base/mod.ts";
import type { ArchivedFile, Catalog } from "./catalog.ts";
import { inOrder, withoutFiles } from "./catalog.ts";
import type { ColdTier } from "./cold.ts";
import type { WarmFiles } from "./files.ts";
import type { ArchiveFolder, EventFormat } from "./ports.ts";

/** Which messages are to go, as the platform says it; offsets are of the log that is open now. */
export interface ForgetRequest {
  /** The same for the same request. */
  readonly id: number;
  readonly thing: string;
  /** Null: of another log. */
  readonly below: number | null;
  readonly requestedAt: EpochMs;
}

export interface ForgottenEvents {
  readonly events: number;
  readonly files: number;
  /** Put aside because their bytes are not those that were written: nobody can say what is in them. */
  readonly damaged: readonly string[];
}

export interface ForgetOptions {
  readonly catalog: Catalog;
  readonly files: WarmFiles;
  readonly folder: ArchiveFolder;
  readonly cold: ColdTier | null;
  readonly format: EventFormat;
}

/** Rejects where a file cannot be had now; what was done by then stays done. The old files are deleted by the keeper. */
export async function forgetMessages(
  options: ForgetOptions,
  request: ForgetRequest,
  signal: AbortSignal,
): Promise<ForgottenEvents> {
  const { catalog } = options;
  const seen = new Set<string>();
  const removed = { events: 0, files: 0 };
  // A step or a fetch may have changed the list meanwhile: until there is nothing new in it.
  for (let file = next(catalog, seen); file !== undefined; file = next(catalog, seen)) {
    signal.throwIfAborted();
    seen.add(file.name);
    const what = messagesOf(file, catalog, request);
    if (what.below !== null && file.from >= what.below) continue;
    const events = await rewrite(options, file, what, signal);
    removed.events += events;
    if (events > 0) removed.files++;
  }
  const damaged = catalog.content.files.filter((file) => file.damaged !== null).map(({ name }) => name);
  return { ...removed, damaged };
}

function next(catalog: Catalog, seen: ReadonlySet<string>): ArchivedFile | undefined {
  return inOrder(catalog.content.files).find(({ name, damaged }) => damaged === null && !seen.has(name));
}

/** Offsets say it where they count in the log that the request means; of older logs the time does. */
function messagesOf(file: ArchivedFile, catalog: Catalog, request: ForgetRequest): ForgottenMessages {
  const { thing, below, requestedAt: until } = request;
  return { thing, below: file.log === catalog.content.log ? below : null, until };
}

async function rewrite(
  { catalog, files, folder, cold, format }: ForgetOptions,
  file: ArchivedFile,
  what: ForgottenMessages,
  signal: AbortSignal,
): Promise<number> {
  const { name, day, log, from, below, rows } = file;
  files.leases.take(name);
  try {
    const path = await placeOf(file, { files, folder, cold }, signal);
    if (path === null) return 0; // damaged, and told
    const events = await format.count(path, what);
    if (events === 0) return 0;
    const made: ArchivedFile[] = [];
    if (events < rows) {
      const range = { day, log, from, below, revision: (file.revision ?? 0) + 1 };
      made.push(
        await files.make(range, async (to) => {
          const facts = await format.without(path, what, to);
          if (facts.rows !== rows - events) throw new Error(`${facts.rows} of ${rows - events} messages are left`);
          return facts;
        }),
      );
    }
    await catalog.change((content) => {
      const left = withoutFiles(content, [file]);
      return { ...left, files: [...left.files, ...made] };
    });
    return events;
  } finally {
    files.leases.release(name);
  }
}

async function placeOf(
  file: ArchivedFile,
  { files, folder, cold }: Pick<ForgetOptions, "files" | "folder" | "cold">,
  signal: AbortSignal,
): Promise<string | null> {
  if (file.tier === "warm") return (await files.sound(file, "again", signal)) ? folder.place(file.name) : null;
  if (cold === null) throw new Error("files lie in a cold tier, and none is configured");
  return (await cold.bring(file, signal)) ? cold.path(file.name) : null;
}
