/**
 * Looks through a database while its owner writes to it, without a lock. Only in a process that has no connection to it:
 * closing a file drops all locks that a process has on it (POSIX), SQLite's own among them.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { Pace } from "../scrub/pace.ts";
import { companionOf, isKnown } from "./page-checksums.ts";
import type { Companion } from "./page-checksums.ts";
import { readWal, readWalIndex, saltsOf } from "./wal-file.ts";

export interface PageScrub {
  /** Without page checksums nothing can be said of the file itself. */
  readonly verified: boolean;
  readonly damage: readonly PageDamage[];
}

export type PageDamage =
  | { readonly in: "pages"; readonly pages: readonly number[] }
  /** Commits that are in the write-ahead log, and of which the next start would read only those before the damage. */
  | { readonly in: "write-ahead log" }
  | { readonly in: "page checksums" };

const PAGES_AT_ONCE = 64;
/** Whoever writes has moved on by then; damage has not. */
const LOOKS = 3;

export async function scrubPages(path: string, pace: Pace): Promise<PageScrub> {
  const companion = await lastOf(
    pace,
    () => companionOf(path),
    (found) => found === "damaged",
  );
  const damage: PageDamage[] = [];
  if (typeof companion !== "string") {
    const pages = await scrubFile(path, companion, pace);
    if (pages.length > 0) damage.push({ in: "pages", pages });
  } else if (companion === "damaged") damage.push({ in: "page checksums" });
  if (
    await lastOf(
      pace,
      () => isWalDamaged(path),
      (damaged) => damaged,
    )
  )
    damage.push({ in: "write-ahead log" });
  pace.count();
  return { verified: typeof companion !== "string", damage };
}

/** Looks again, as long as what is found may be something that is just being written. */
async function lastOf<T>(pace: Pace, look: () => T, isDoubtful: (found: T) => boolean): Promise<T> {
  let found = look();
  for (let looks = 1; looks < LOOKS && isDoubtful(found); looks++) {
    await pace.secondLook();
    found = look();
  }
  return found;
}

async function scrubFile(path: string, first: Companion, pace: Pace): Promise<readonly number[]> {
  const file = await open(path, "r");
  try {
    let suspects = await pagesUnlike(file, first, pace);
    for (let looks = 0; looks < LOOKS && suspects.length > 0; looks++) {
      if (looks > 0) await pace.secondLook();
      suspects = await stillUnlike(path, file, suspects);
    }
    return suspects;
  } finally {
    await file.close();
  }
}

/** Against checksums that may be older than the pages by now. */
async function pagesUnlike(file: FileHandle, companion: Companion, pace: Pace): Promise<number[]> {
  const { base, pageBytes } = companion;
  const buffer = Buffer.alloc(PAGES_AT_ONCE * pageBytes);
  const suspects: number[] = [];
  let page = 1;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, (page - 1) * pageBytes);
    if (bytesRead === 0) break;
    for (let at = 0; at < bytesRead; at += pageBytes, page++) {
      const crc = crc32(buffer.subarray(at, Math.min(bytesRead, at + pageBytes)));
      if (!isKnown(companion, page, crc)) suspects.push(page);
    }
    await pace.spent(bytesRead);
  }
  for (; page <= base.length; page++) suspects.push(page); // the file is shorter than it was
  return suspects;
}

/** A page that the write-ahead log holds is read from there, and the next checkpoint writes it anew. */
async function stillUnlike(path: string, file: FileHandle, pages: readonly number[]): Promise<number[]> {
  const companion = companionOf(path);
  if (typeof companion === "string") return companion === "none" ? [] : [...pages];
  const wal = `${path}-wal`;
  const shadowed = new Set(existsSync(wal) ? readWal(readFileSync(wal)).frames.map(({ page }) => page) : []);
  const { pageBytes } = companion;
  const bytes = Buffer.alloc(pageBytes);
  const unlike: number[] = [];
  for (const page of pages) {
    if (shadowed.has(page)) continue;
    const { bytesRead } = await file.read(bytes, 0, pageBytes, (page - 1) * pageBytes);
    if (bytesRead === 0 || !isKnown(companion, page, crc32(bytes.subarray(0, bytesRead)))) unlike.push(page);
  }
  return unlike;
}

/** Connections read the log without looking at its checksums; the index that they share says how much of it is committed. */
function isWalDamaged(path: string): boolean {
  const before = walIndexOf(path);
  if (before === null || before.frames === 0) return false;
  const wal = existsSync(`${path}-wal`) ? readFileSync(`${path}-wal`) : Buffer.alloc(0);
  const after = walIndexOf(path);
  if (after === null || !after.salts.equals(before.salts)) return false; // another round has begun meanwhile
  return !saltsOf(wal).equals(before.salts) || readWal(wal).frames.length < before.frames;
}

function walIndexOf(path: string): ReturnType<typeof readWalIndex> {
  if ((statSync(`${path}-shm`, { throwIfNoEntry: false })?.size ?? 0) === 0) return null;
  return readWalIndex(readFileSync(`${path}-shm`));
}
