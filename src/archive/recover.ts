/**
 * What a start does with the folder. The catalog is right; what a crash left beside it is removed where the log still has
 * its messages, and taken in where it has not (the catalog was an older copy, or is lost). Nothing is deleted on doubt.
 */
import { reasonOf } from "../base/mod.ts";
import type { Logger } from "../base/mod.ts";
import type { ArchivedFile, Catalog, CatalogContent, NamedRange } from "./catalog.ts";
import { rangeOf, withoutFiles } from "./catalog.ts";
import { TEMPORARY } from "./files.ts";
import type { ArchiveFolder, EventFormat } from "./ports.ts";

export interface RecoverOptions {
  readonly folder: ArchiveFolder;
  readonly format: EventFormat;
  readonly catalog: Catalog;
  /** Offset of the log's oldest record. */
  readonly logFirst: number;
  readonly logger: Logger;
}

interface Orphan {
  readonly name: string;
  readonly range: NamedRange;
}

export async function recover(options: RecoverOptions): Promise<void> {
  const { folder, catalog, logger } = options;
  const found = await folder.list();
  const present = new Set(found.map(({ name }) => name));
  const orphans: Orphan[] = [];
  for (const { name } of found) {
    const kind = kindOf(name, catalog.content);
    if (kind === "left over") await folder.remove(name);
    else if (kind === "foreign")
      logger.warn("A file in the archive's folder is not ours; it is left alone", { file: name });
    else if (kind === "orphan") orphans.push({ name, range: rangeOf(name)! });
  }
  orphans.sort((a, b) => a.range.log - b.range.log || a.range.from - b.range.from || b.range.below - a.range.below);
  for (const orphan of orphans) await settle(orphan, present, options);
  await dropMerged(present, options);
}

type Kind = "ours" | "left over" | "orphan" | "foreign" | "elsewhere";

function kindOf(name: string, content: CatalogContent): Kind {
  if (name.startsWith("cache/") || name.startsWith("quarantine/") || !name.includes("/")) return "elsewhere";
  if (name.endsWith(TEMPORARY) && rangeOf(name.slice(0, -TEMPORARY.length)) !== null) return "left over";
  if (rangeOf(name) === null) return "foreign";
  if (content.discarded.some((gone) => gone.name === name)) return "ours"; // deleted by the chores
  const file = content.files.find((one) => one.name === name);
  if (file === undefined) return "orphan";
  return file.tier === "warm" ? "ours" : "left over"; // the cold copy was verified before the catalog said so
}

async function settle(orphan: Orphan, present: ReadonlySet<string>, options: RecoverOptions): Promise<void> {
  const { folder, catalog, logFirst } = options;
  const { name, range } = orphan;
  const { content } = catalog;
  const sameLog = range.log === content.log;
  // A step that did not come to its end: it is taken again.
  if (sameLog && range.from >= (content.offset ?? 0) && logFirst <= range.from) return folder.remove(name);
  // A merge that did not: its sources are there.
  if (
    isCovered(
      range,
      content.files.filter((file) => present.has(file.name) || file.tier === "cold"),
    )
  ) {
    return folder.remove(name);
  }
  return adopt(orphan, options);
}

/** Takes in a file that no catalog names, and whose messages nobody else has. */
async function adopt({ name, range }: Orphan, { folder, format, catalog, logger }: RecoverOptions): Promise<void> {
  try {
    const facts = await format.inspect(await folder.place(name));
    const digest = await folder.digest(name);
    if (digest === null) throw new Error("it is gone");
    const file: ArchivedFile = { name, ...range, ...facts, ...digest, tier: "warm", damaged: null };
    await catalog.change((content) => {
      const later = range.log > content.log;
      const offset = later || range.log < content.log ? content.offset : Math.max(content.offset ?? 0, range.below);
      const place = later ? { log: range.log, offset: range.below, identity: null } : { offset };
      return { ...content, ...place, files: [...content.files, file] };
    });
    logger.warn("A file of events that the catalog did not name was taken in", { file: name, rows: facts.rows });
  } catch (error) {
    logger.error("A file of events that the catalog does not name cannot be read; it is left alone", {
      file: name,
      reason: reasonOf(error),
    });
  }
}

/** Named files that are missing because a merge, of which an older catalog does not know, has taken them in. */
async function dropMerged(present: ReadonlySet<string>, { catalog, logger }: RecoverOptions): Promise<void> {
  const missing = catalog.content.files.filter((file) => file.tier === "warm" && !present.has(file.name));
  const merged = missing.filter((file) => {
    const others = catalog.content.files.filter((other) => other.name !== file.name && present.has(other.name));
    return isCovered(file, others);
  });
  if (merged.length === 0) return;
  logger.warn("Files of events were merged into others; the catalog forgets them", { files: merged.length });
  await catalog.change((content) => ({ ...withoutFiles(content, merged), discarded: content.discarded }));
}

/** Whether other files of the same day hold all that a file holds. */
function isCovered(range: NamedRange, others: readonly ArchivedFile[]): boolean {
  const near = others
    .filter((other) => other.day === range.day && other.log === range.log && other.damaged === null)
    .toSorted((a, b) => a.from - b.from);
  let covered = range.from;
  for (const { from, below } of near) if (from <= covered) covered = Math.max(covered, below);
  return covered >= range.below;
}
