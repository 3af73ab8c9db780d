/**
 * SQLite's pages have no checksums: a flipped bit in a value is served as if it had been stored. So each of our files has a
 * companion, `<file>-pages`, with the CRC-32 of every page, held against the file before SQLite opens it.
 *
 * A page of the file itself is only written by a checkpoint, so checkpoints are ours: the checksums of what one may write
 * are appended to the companion and synced first, then it runs. Until the next one a page is right if it is as it was
 * before or as any of them may have left it; a page that the write-ahead log holds is not looked at in the file, since a power
 * cut may have torn it and SQLite reads it from there. Commits cost nothing: the log has checksums of its own. Of a checkpoint
 * that SQLite ran by itself after all, `held-wal.ts` knows.
 *
 * Where the companion cannot be written it is removed, and made anew at the next start: less is noticed, nothing is refused.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Logger } from "../../base/mod.ts";
import { heldFrames, holdWal, releaseWal } from "./held-wal.ts";
import { WalTail, readWal } from "./wal-file.ts";
import type { WalFrame } from "./wal-file.ts";
import { syncFolderNow } from "../sync-folder.ts";

/** "TWPAGES1", page size, number of pages. */
const MAGIC = 0x5457504147455331n;
const HEADER_BYTES = 16;
/** A checkpoint as often as SQLite runs them by itself; 256 KiB are the pages of some thirty of them. */
const SIZES: Sizes = { checkpoint: 4 * 1024 * 1024, appendedMax: 256 * 1024 };
const READ_BYTES = 1024 * 1024;
/** So much of the write-ahead log is read at a time, after a commit: the checkpoint, which stops the loop, finds it done. */
const TAIL_BYTES = 64 * 1024;
/** https://sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;

export interface PageChecksumsOptions {
  readonly path: string;
  readonly name: string;
  readonly logger: Logger | null;
  /** For the names of copies. */
  readonly now: () => number;
  readonly sizes?: Sizes;
}

/** In bytes: of the write-ahead log at a checkpoint, and of what is appended to the companion before it is written anew. */
export interface Sizes {
  readonly checkpoint: number;
  readonly appendedMax: number;
}

export interface Companion {
  readonly pageBytes: number;
  readonly base: Uint32Array;
  /** Checksums that checkpoints since may have left, by page. */
  readonly later: ReadonlyMap<number, ReadonlySet<number>>;
  readonly bytes: number;
}

export class PageChecksums {
  readonly #options: PageChecksumsOptions;
  readonly #sizes: Sizes;
  /** Of the pages as the last complete checkpoint left them; four bytes per page of 4 KiB. `null`: not yet known, or given up. */
  #table: Uint32Array | null;
  #pageBytes: number;
  #appended: number;
  /** How large the write-ahead log is to be for the next checkpoint. */
  #checkpointAt: number;
  readonly #wal: WalTail;

  private constructor(options: PageChecksumsOptions, companion: Companion | null, table: Uint32Array | null) {
    this.#options = options;
    this.#table = table;
    this.#sizes = options.sizes ?? SIZES;
    this.#checkpointAt = this.#sizes.checkpoint;
    this.#wal = new WalTail(`${options.path}-wal`);
    this.#pageBytes = companion?.pageBytes ?? 0;
    this.#appended = companion === null ? 0 : companion.bytes - HEADER_BYTES - companion.base.length * 4;
  }

  /** Before SQLite opens the file. Throws DATABASE_DAMAGED. */
  static check(options: PageChecksumsOptions): PageChecksums {
    const { path } = options;
    if (!existsSync(path)) {
      rmSync(`${path}-pages`, { force: true });
      releaseWal(path);
      return new PageChecksums(options, null, null);
    }
    const shadowed = lookAtWal(options);
    const companion = readCompanion(options);
    if (companion === null) return new PageChecksums(options, null, null);
    const pages = new PageChecksums(options, companion, verify(options, companion, shadowed));
    pages.#take(heldFrames(path));
    return pages;
  }

  /** From here on they stand in the companion. */
  #take(held: readonly WalFrame[]): void {
    if (held.length > 0) this.#guard(() => this.#append(held));
    releaseWal(this.#options.path);
  }

  /** There is no companion yet, or none that counts: one is made of what is there, see `makeAnew`. */
  get isMissing(): boolean {
    return this.#table === null;
  }

  /** Throws DATABASE_DAMAGED where SQLite finds the file not whole. To be closed then, and `makeAnew` called. */
  prove(database: DatabaseSync): void {
    const { path, name } = this.#options;
    const { quick_check: verdict } = database.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
    if (verdict !== "ok") throw new TidewireError("DATABASE_DAMAGED", { name, path, reason: verdict });
    const { page_size: pageBytes } = database.prepare("PRAGMA page_size").get() as { page_size: number };
    this.#pageBytes = pageBytes;
  }

  /**
   * Reads the file while SQLite has it closed: whoever closes a file drops all locks that his process has on it (POSIX), and
   * another process would take itself for the last one and remove the write-ahead log.
   */
  makeAnew(): void {
    const { path } = this.#options;
    const wal = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (wal > 0) return; // another process has it open; another start makes them
    this.#guard(() => {
      this.#table = checksumsOf(path, this.#pageBytes);
      this.#writeAnew();
    });
  }

  /** After SQLite has opened it: from here on checkpoints are ours. */
  begin(database: DatabaseSync): void {
    database.exec("PRAGMA wal_autocheckpoint = 0");
    holdWal(this.#options.path);
  }

  /** After a commit: runs a checkpoint where it is time. */
  committed(database: DatabaseSync): void {
    const bytes = statSync(`${this.#options.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes < this.#checkpointAt) {
      if (this.#table !== null && bytes - this.#wal.end >= TAIL_BYTES) this.#guard(() => void this.#wal.advance());
      return;
    }
    this.#checkpoint(database);
    const left = statSync(`${this.#options.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    this.#checkpointAt = left + this.#sizes.checkpoint;
  }

  /** Closes the last connection, which runs a checkpoint of its own: it finds nothing to do, or what is appended already. */
  end(database: DatabaseSync): void {
    const isWritten = this.#checkpoint(database);
    if (isWritten && this.#table !== null && this.#appended > 0) this.#guard(() => this.#writeAnew());
    database.close();
    releaseWal(this.#options.path);
  }

  /** Whether the file has all that was committed. */
  #checkpoint(database: DatabaseSync): boolean {
    let isWritten = true;
    this.#guard(() => {
      const { frames, pages } = this.#wal.advance();
      if (frames.length === 0) return;
      if (this.#table !== null) this.#append(frames);
      const { log, checkpointed } = checkpoint(database);
      isWritten = checkpointed >= log;
      if (this.#table === null || !isWritten) return;
      this.#table = resized(this.#table, Math.max(pages, this.#table.length));
      for (const { page, crc } of frames) this.#table[page - 1] = crc;
      if (this.#appended > this.#sizes.appendedMax) this.#writeAnew();
    });
    return isWritten;
  }

  #append(frames: readonly WalFrame[]): void {
    const record = Buffer.alloc(8 + frames.length * 8);
    record.writeUInt32LE(frames.length, 0);
    for (const [index, { page, crc }] of frames.entries()) {
      record.writeUInt32LE(page, 4 + index * 8);
      record.writeUInt32LE(crc, 8 + index * 8);
    }
    record.writeUInt32LE(crc32(record.subarray(0, -4)), record.length - 4);
    writeSynced(`${this.#options.path}-pages`, "a", record);
    this.#appended += record.length;
  }

  #writeAnew(): void {
    const table = this.#table!;
    const bytes = Buffer.alloc(HEADER_BYTES + table.length * 4 + 4);
    bytes.writeBigUInt64BE(MAGIC, 0);
    bytes.writeUInt32LE(this.#pageBytes, 8);
    bytes.writeUInt32LE(table.length, 12);
    for (const [index, crc] of table.entries()) bytes.writeUInt32LE(crc, HEADER_BYTES + index * 4);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
    const path = `${this.#options.path}-pages`;
    writeSynced(`${path}.new`, "w", bytes);
    renameSync(`${path}.new`, path);
    syncFolderNow(dirname(path));
    this.#appended = 0;
  }

  /** Whatever goes wrong with the companion must not stop the database. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      const { path, name, logger } = this.#options;
      this.#table = null;
      rmSync(`${path}-pages`, { force: true });
      syncFolderNow(dirname(path));
      const fields = { database: name, reason: reasonOf(error) };
      logger?.warn("the page checksums of a database cannot be kept; they are made anew at the next start", fields);
    }
  }
}

/** `log`: frames in the write-ahead log; `checkpointed`: of them, those that the file has now. */
function checkpoint(database: DatabaseSync): { busy: number; log: number; checkpointed: number } {
  database.exec("PRAGMA busy_timeout = 0"); // whoever still reads is in this thread: waiting would be for ever
  try {
    return database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as ReturnType<typeof checkpoint>;
  } catch (error) {
    const code = (error as { errcode?: unknown }).errcode;
    if (code !== SQLITE_BUSY && code !== SQLITE_LOCKED) throw error;
    return { busy: 1, log: 1, checkpointed: 0 };
  } finally {
    database.exec("PRAGMA busy_timeout = 5000");
  }
}

/** The pages that the write-ahead log holds. What SQLite is about to leave out of it is kept and told. */
function lookAtWal({ path, name, logger, now }: PageChecksumsOptions): ReadonlySet<number> {
  const wal = `${path}-wal`;
  if (!existsSync(wal)) return new Set();
  const { frames, lostBytes } = readWal(readFileSync(wal));
  if (lostBytes > 0) {
    const kept = `${wal}.damaged-${now()}`;
    copyFileSync(wal, kept);
    const fields = { database: name, bytes: lostBytes, kept };
    logger?.error("the end of a database's write-ahead log was half written or is damaged; it is left out", fields);
  }
  return new Set(frames.map(({ page }) => page));
}

/** `null` where there is none, or it is damaged itself. */
function readCompanion({ path, name, logger }: PageChecksumsOptions): Companion | null {
  rmSync(`${path}-pages.new`, { force: true });
  const companion = companionOf(path);
  if (companion === "none") return null;
  if (companion === "damaged") {
    logger?.warn("the page checksums of a database are damaged; they are made anew", { database: name });
    return null;
  }
  return companion;
}

/** As it is on disk now. While its owner appends to it, half an entry may stand at its end: that is read as damaged, too. */
export function companionOf(path: string): Companion | "none" | "damaged" {
  if (!existsSync(`${path}-pages`)) return "none";
  const companion = decode(readFileSync(`${path}-pages`));
  if (companion === null) return "damaged";
  const later = new Map(companion.later);
  for (const { page, crc } of heldFrames(path)) later.set(page, new Set([...(later.get(page) ?? []), crc]));
  return { ...companion, later };
}

/** Whether a page with that checksum is as it was before the last checkpoints, or as one of them may have left it. */
export function isKnown({ base, later, pageBytes }: Companion, page: number, crc: number): boolean {
  return page === lockBytePage(pageBytes) || crc === base[page - 1] || later.get(page)?.has(crc) === true;
}

function decode(bytes: Buffer): Companion | null {
  if (bytes.length < HEADER_BYTES || bytes.readBigUInt64BE(0) !== MAGIC) return null;
  const pageBytes = bytes.readUInt32LE(8);
  const count = bytes.readUInt32LE(12);
  const baseEnd = HEADER_BYTES + count * 4;
  if (baseEnd + 4 > bytes.length || crc32(bytes.subarray(0, baseEnd)) !== bytes.readUInt32LE(baseEnd)) return null;
  const base = new Uint32Array(count);
  for (let index = 0; index < count; index++) base[index] = bytes.readUInt32LE(HEADER_BYTES + index * 4);
  const later = new Map<number, Set<number>>();
  for (let at = baseEnd + 4; at < bytes.length;) {
    const frames = at + 4 > bytes.length ? 0 : bytes.readUInt32LE(at);
    const end = at + 4 + frames * 8;
    if (end + 4 > bytes.length || crc32(bytes.subarray(at, end)) !== bytes.readUInt32LE(end)) return null;
    for (let frame = at + 4; frame < end; frame += 8) {
      const page = bytes.readUInt32LE(frame);
      const known = later.get(page);
      if (known === undefined) later.set(page, new Set([bytes.readUInt32LE(frame + 4)]));
      else known.add(bytes.readUInt32LE(frame + 4));
    }
    at = end + 4;
  }
  return { pageBytes, base, later, bytes: bytes.length };
}

/** SQLite never writes the page that begins at one GiB: https://sqlite.org/fileformat2.html, 1.3, The Lock-Byte Page. */
function lockBytePage(pageBytes: number): number {
  return 1_073_741_824 / pageBytes + 1;
}

/** Returns the checksums as they are. */
function verify(options: PageChecksumsOptions, companion: Companion, shadowed: ReadonlySet<number>): Uint32Array {
  const { base, pageBytes } = companion;
  const table = checksumsOf(options.path, pageBytes);
  const damaged: number[] = [];
  for (let page = 1; page <= Math.max(table.length, base.length); page++) {
    if (shadowed.has(page)) continue;
    const crc = table[page - 1];
    if (crc === undefined || !isKnown(companion, page, crc)) damaged.push(page);
  }
  if (damaged.length === 0) return table;
  const { path, name } = options;
  const reason = `${damaged.length} of its ${table.length} pages are not as they were written (page ${damaged[0]})`;
  throw new TidewireError("DATABASE_DAMAGED", { name, path, reason });
}

function checksumsOf(path: string, pageBytes: number): Uint32Array {
  const table = new Uint32Array(Math.ceil(statSync(path).size / pageBytes));
  const handle = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(Math.max(READ_BYTES, pageBytes));
    let page = 0;
    for (;;) {
      const read = readSync(handle, buffer, 0, buffer.length, page * pageBytes);
      if (read === 0) return table;
      for (let at = 0; at < read; at += pageBytes) {
        table[page++] = crc32(buffer.subarray(at, Math.min(read, at + pageBytes)));
      }
    }
  } finally {
    closeSync(handle);
  }
}

function resized(table: Uint32Array, length: number): Uint32Array {
  if (length === table.length) return table;
  const larger = new Uint32Array(length);
  larger.set(table);
  return larger;
}

function writeSynced(path: string, flags: "a" | "w", bytes: Buffer): void {
  const handle = openSync(path, flags, 0o600);
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(handle, bytes, done);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
