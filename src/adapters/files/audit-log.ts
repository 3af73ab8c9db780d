/** The audit log's files: `audit/00000001.jsonl` and on, appended and synced. What a crash left half written is put aside, never cut away. */
import {
  closeSync,
  createReadStream,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { open, rm, statfs } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { CHAIN_START, parseEntry, parseLine } from "../../audit/mod.ts";
import type { AuditFile, AuditFiles, ChainHead } from "../../audit/mod.ts";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import { syncFolderNow } from "../sync-folder.ts";

const NAME = /^(\d{8})\.jsonl$/;
/** Longer than any line. */
const FIRST_LINE_BYTES = 64 * 1024;

export function auditFileName(number: number): string {
  return `${String(number).padStart(8, "0")}.jsonl`;
}

/** For looking at a folder that another process may be writing to. */
export function readAuditFolder(folder: string): Pick<AuditFiles, "list" | "lines"> {
  return { list: () => listFolder(folder), lines: (number) => linesOf(join(folder, auditFileName(number))) };
}

/** Throws DATA_FOLDER_UNUSABLE. */
export function openAuditFolder(folder: string): AuditFolder {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return new AuditFolder(folder);
  } catch (error) {
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: folder, reason: reasonOf(error) }, { cause: error });
  }
}

export class AuditFolder implements AuditFiles {
  readonly head: ChainHead;
  readonly torn: AuditFiles["torn"];
  readonly #folder: string;
  #files: AuditFile[];
  #handle: FileHandle | null = null;
  /** A write failed, and half of it may stand behind the last entry. */
  #isHalf = false;

  constructor(folder: string) {
    this.#folder = folder;
    this.#files = [...listFolder(folder)];
    const end = endOf(folder, this.#files);
    this.head = end.head;
    this.torn = end.torn;
    if (end.torn !== null) this.#files = [...listFolder(folder)];
  }

  list(): readonly AuditFile[] {
    return this.#files;
  }

  async append(text: string): Promise<void> {
    await this.#cutHalf();
    const last = this.#files.at(-1)!;
    const path = join(this.#folder, auditFileName(last.number));
    this.#handle ??= await open(path, "a");
    const bytes = Buffer.from(text);
    try {
      await writeAll(this.#handle, bytes);
      await this.#handle.datasync();
    } catch (error) {
      this.#isHalf = true;
      await this.#release();
      await this.#cutHalf().catch(() => {}); // nothing is written before it has succeeded
      throw error;
    }
    this.#files[this.#files.length - 1] = { ...last, bytes: last.bytes + bytes.length };
  }

  /** The next attempt writes all of it anew; behind half an entry it would look like damage for ever. */
  async #cutHalf(): Promise<void> {
    if (!this.#isHalf) return;
    const last = this.#files.at(-1)!;
    const handle = await open(join(this.#folder, auditFileName(last.number)), "r+");
    try {
      await handle.truncate(last.bytes);
    } finally {
      await handle.close();
    }
    this.#isHalf = false;
  }

  async begin(text: string): Promise<void> {
    await this.#cutHalf();
    const number = (this.#files.at(-1)?.number ?? 0) + 1;
    const path = join(this.#folder, auditFileName(number));
    const bytes = Buffer.from(text);
    const handle = await open(path, "wx", 0o600);
    try {
      await writeAll(handle, bytes);
      await handle.datasync();
      syncFolderNow(this.#folder);
    } catch (error) {
      await handle.close().catch(() => {});
      await rm(path, { force: true });
      throw error;
    }
    await this.#release();
    this.#handle = handle;
    this.#files.push({ number, bytes: bytes.length, from: firstTime(text.slice(0, text.indexOf("\n"))) });
  }

  async remove(number: number): Promise<void> {
    await rm(join(this.#folder, auditFileName(number)), { force: true });
    this.#files = this.#files.filter((file) => file.number !== number);
  }

  async free(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#folder);
    return bavail * bsize;
  }

  lines(number: number): AsyncIterable<string> {
    return linesOf(join(this.#folder, auditFileName(number)));
  }

  close(): Promise<void> {
    return this.#release();
  }

  async #release(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await handle?.close().catch(() => {});
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  let from = 0;
  while (from < bytes.length) from += (await handle.write(bytes, from)).bytesWritten;
}

function listFolder(folder: string): readonly AuditFile[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => NAME.test(name))
    .sort()
    .map((name) => {
      const path = join(folder, name);
      return { number: Number(NAME.exec(name)![1]), bytes: statSync(path).size, from: firstTime(firstLine(path)) };
    });
}

/** The end of the chain. A half line is kept beside the file, and only then taken from its end. */
function endOf(
  folder: string,
  files: readonly AuditFile[],
): { readonly head: ChainHead; readonly torn: AuditFiles["torn"] } {
  let torn: AuditFiles["torn"] = null;
  for (const file of files.toReversed()) {
    const path = join(folder, auditFileName(file.number));
    const content = readFileSync(path);
    const whole = content.lastIndexOf(0x0a) + 1;
    if (whole < content.length) {
      const keptAs = `${auditFileName(file.number)}.torn-${content.length}`;
      writeFileSync(join(folder, keptAs), content.subarray(whole), { mode: 0o600, flush: true });
      syncFolderNow(folder);
      // A file without its first line would be one that does not follow.
      if (whole === 0) rmSync(path);
      else truncateSync(path, whole);
      torn = { bytes: content.length - whole, keptAs };
    }
    for (const text of content.subarray(0, whole).toString("utf8").split("\n").toReversed()) {
      const line = text === "" ? null : parseLine(text);
      const entry = line === null ? null : parseEntry(line.entry);
      // A line that is none stays where it is for `audit verify`; the chain goes on from the last that is one.
      if (line !== null && entry !== null) return { head: { sequence: entry.sequence, hash: line.hash }, torn };
    }
  }
  return { head: { sequence: 0, hash: CHAIN_START }, torn };
}

function firstLine(path: string): string {
  const descriptor = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(FIRST_LINE_BYTES);
    return bytes.toString("utf8", 0, readSync(descriptor, bytes)).split("\n", 1)[0]!;
  } finally {
    closeSync(descriptor);
  }
}

function firstTime(line: string): number {
  const parsed = parseLine(line);
  return (parsed === null ? null : parseEntry(parsed.entry))?.time ?? 0;
}

/** By line feeds only: what else ends a line for some readers may stand within an entry. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const part of createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? part : Buffer.concat([rest, part]);
    let from = 0;
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, from)) {
      yield bytes.toString("utf8", from, at);
      from = at + 1;
    }
    rest = bytes.subarray(from);
  }
  if (rest.length > 0) yield rest.toString("utf8");
}
