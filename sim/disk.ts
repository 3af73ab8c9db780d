/**
 * A disk that forgets, tears and fails, from a seed. What was written and not synced may be there after a power cut,
 * whole, torn, or not at all, in any combination; what was synced is there. A failed sync says nothing: some of what it
 * should have carried is on disk, the rest never will be although reads still show it (as Linux does).
 */
import { PADDING, PADDING_BYTES_MAX, writeThenSync } from "../src/log/mod.ts";
import type { LogDirectory, LogFile } from "../src/log/mod.ts";
import type { SimRandom } from "./world.ts";

export type DiskOperation =
  | "list"
  | "open"
  | "create"
  | "remove"
  | "rename"
  | "sync-folder"
  | "free"
  | "write"
  | "sync"
  | "read"
  | "size"
  | "truncate"
  | "close";

/** What happens instead of an operation. `torn`: a write that does a part of its work, then fails with EIO. */
export type DiskFault = "EIO" | "ENOSPC" | "torn" | "power-cut" | "kill";

export interface DiskOptions {
  readonly random: SimRandom;
  /** Asked before each operation; `null` lets it happen. `count` numbers the operations from 0. */
  fault?(operation: DiskOperation, name: string, count: number): DiskFault | null;
  freeBytes?(): number;
  /** Writes that are durable at once leave padding behind, as a disk's blocks do. */
  readonly pads?: boolean;
}

type Change =
  | { readonly kind: "write"; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly size: number };

/** What a file's name points to. */
class Inode {
  /** As reads see it. */
  content: Uint8Array = new Uint8Array(0);
  /** As a power cut leaves it. */
  durable: Uint8Array = new Uint8Array(0);
  /** What happened since the last sync, in order. */
  changes: Change[] = [];
  /** A sync failed: reads show what will never be on disk. */
  tainted = false;
}

/** One change of the folder: `null` where the name goes. */
type FolderChange = readonly (readonly [name: string, inode: Inode | null])[];

export class SimDisk {
  readonly #options: DiskOptions;
  readonly #random: SimRandom;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #folderChanges: FolderChange[] = [];
  /** Counts the lives of the machine's process: handles of an earlier life are dead. */
  #life = 0;
  #dead = false;
  #count = 0;
  #powerCuts = 0;

  constructor(options: DiskOptions) {
    this.#options = options;
    this.#random = options.random;
  }

  /** Operations so far. */
  get count(): number {
    return this.#count;
  }

  /** Whether a fault has ended the process; `restart` begins the next life. */
  get dead(): boolean {
    return this.#dead;
  }

  /** The folder, for one life of the process. */
  folder(): LogDirectory {
    const life = this.#life;
    const during = <T>(operation: DiskOperation, name: string, work: () => T): Promise<T> =>
      this.#during(life, operation, name, work);
    return {
      list: () => during("list", "", () => [...this.#names.keys()]),
      open: (name, mode) =>
        during(mode === "create" ? "create" : "open", name, () =>
          this.#file(life, name, this.#open(name, mode === "create")),
        ),
      remove: (name) =>
        during("remove", name, () => {
          this.#inode(name);
          this.#change([[name, null]]);
        }),
      rename: (from, to) =>
        during("rename", from, () => {
          const inode = this.#inode(from);
          if (this.#names.has(to)) throw systemError("EEXIST", to);
          this.#change([
            [from, null],
            [to, inode],
          ]);
        }),
      sync: () =>
        during("sync-folder", "", () => {
          this.#durableNames = new Map(this.#names);
          this.#folderChanges = [];
        }),
      freeBytes: () => during("free", "", () => this.#options.freeBytes?.() ?? 2 ** 40),
    };
  }

  /** How often the power went. */
  get powerCuts(): number {
    return this.#powerCuts;
  }

  /** The power goes. Each unsynced change is kept, torn or lost, as chance has it. */
  powerCut(): void {
    this.#powerCuts++;
    const random = this.#random;
    for (const change of this.#folderChanges) if (random.chance(0.5)) applyToFolder(this.#durableNames, change);
    this.#names = new Map(this.#durableNames);
    this.#folderChanges = [];
    for (const inode of new Set(this.#names.values())) {
      this.#keepSome(inode);
      inode.content = inode.durable;
      inode.tainted = false;
    }
    this.kill();
  }

  /** The process ends, the machine goes on: what was written stays visible, and stays unsynced. */
  kill(): void {
    this.#life++;
    this.#dead = true;
  }

  /** The next life of the process begins. */
  restart(): void {
    this.#dead = false;
  }

  /** The bytes of a file as they are on disk, for a test to look at or to damage; writes to it stay. */
  bytesOf(name: string): Uint8Array {
    const inode = this.#inode(name);
    inode.durable = inode.content;
    inode.tainted = false;
    inode.changes = [];
    return inode.content;
  }

  put(name: string, bytes: Uint8Array): void {
    const inode = new Inode();
    inode.content = inode.durable = bytes;
    this.#names.set(name, inode);
    this.#durableNames.set(name, inode);
  }

  get names(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  #file(life: number, name: string, inode: Inode): LogFile {
    const during = <T>(operation: DiskOperation, work: () => T): Promise<T> =>
      this.#during(life, operation, name, work, inode);
    let padded = false;
    let contentEnd = 0;
    const file: LogFile = {
      write: (bytes, position) => {
        const copy = bytes.slice();
        return this.#during(
          life,
          "write",
          name,
          () => write(inode, { kind: "write", position, bytes: copy }),
          inode,
          () => write(inode, { kind: "write", position, bytes: copy.subarray(0, this.#random.below(copy.length)) }),
        );
      },
      sync: () =>
        during("sync", () => {
          if (inode.tainted) for (const change of inode.changes) inode.durable = applied(inode.durable, change);
          else inode.durable = inode.content;
          inode.changes = [];
        }),
      writeDurably: async (parts, position) => {
        const end = position + parts.reduce((sum, part) => sum + part.length, 0);
        const padding = this.#padding();
        await writeThenSync(file, padding.length === 0 ? parts : [...parts, padding], position);
        contentEnd = end;
        padded ||= padding.length > 0;
      },
      read: (into, position) =>
        during("read", () => {
          const part = inode.content.subarray(position, position + into.length);
          into.set(part);
          return part.length;
        }),
      size: () => during("size", () => inode.content.length),
      truncate: (size) => during("truncate", () => write(inode, { kind: "truncate", size })),
      close: async () => {
        if (padded) await file.truncate(contentEnd);
        await during("close", () => {});
      },
    };
    return file;
  }

  /** Every operation takes a while, so that others come between; then it happens, or its fault does. */
  async #during<T>(
    life: number,
    operation: DiskOperation,
    name: string,
    work: () => T,
    inode?: Inode,
    torn?: () => void,
  ): Promise<T> {
    for (let i = this.#random.below(4); i >= 0; i--) await Promise.resolve();
    if (life !== this.#life || this.#dead) return new Promise(() => {}); // the process is gone, and its promises with it
    const fault = this.#options.fault?.(operation, name, this.#count++) ?? null;
    if (fault === null) return work();
    if (fault === "power-cut" || fault === "kill") {
      // Before the operation or behind it: nobody is left to know.
      if (this.#random.chance(0.5)) work();
      if (fault === "power-cut") this.powerCut();
      else this.kill();
      return new Promise(() => {});
    }
    if (operation === "sync" && inode !== undefined) this.#failSync(inode);
    if (fault === "torn") torn?.();
    throw systemError(fault === "torn" ? "EIO" : fault, `${operation} ${name}`);
  }

  /** Some of the writes reached the disk; the others count as clean from now on and are never written. */
  #failSync(inode: Inode): void {
    const lengths = inode.changes.filter((change) => change.kind === "truncate");
    this.#keepSome(inode);
    inode.tainted = true;
    inode.changes = lengths; // lengths are in the file system's journal: they are not forgotten
  }

  #keepSome(inode: Inode): void {
    const random = this.#random;
    for (const change of inode.changes) {
      if (change.kind === "truncate") {
        if (random.chance(0.5)) inode.durable = applied(inode.durable, change);
        continue;
      }
      const fate = random.below(3);
      if (fate === 1) inode.durable = applied(inode.durable, change);
      else if (fate === 2) inode.durable = this.#torn(inode.durable, change.position, change.bytes);
    }
    inode.changes = [];
  }

  /** Pieces of a write are there and pieces are not, in any order; the file may be long enough for all of it or not. */
  #torn(content: Uint8Array, position: number, bytes: Uint8Array): Uint8Array {
    const random = this.#random;
    const grown = random.chance(0.5) ? bytes.length : random.below(bytes.length + 1);
    const size = Math.max(content.length, position + grown);
    let result = applied(content, { kind: "truncate", size });
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + 1 + random.below(bytes.length));
      if (random.chance(0.6)) result = applied(result, { kind: "write", position: position + at, bytes: piece });
      at += piece.length;
    }
    return result;
  }

  /** As behind a large write to a real disk; short ones as well, so that the next write ends within them or behind them. */
  #padding(): Uint8Array {
    const random = this.#random;
    if (this.#options.pads !== true || random.chance(0.5)) return new Uint8Array();
    return new Uint8Array(random.below(random.chance(0.8) ? 100 : PADDING_BYTES_MAX)).fill(PADDING);
  }

  #open(name: string, create: boolean): Inode {
    if (!create) return this.#inode(name);
    if (this.#names.has(name)) throw systemError("EEXIST", name);
    const inode = new Inode();
    this.#change([[name, inode]]);
    return inode;
  }

  #inode(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw systemError("ENOENT", name);
    return inode;
  }

  #change(change: FolderChange): void {
    applyToFolder(this.#names, change);
    this.#folderChanges.push(change);
  }
}

function applyToFolder(names: Map<string, Inode>, change: FolderChange): void {
  for (const [name, inode] of change) {
    if (inode === null) names.delete(name);
    else names.set(name, inode);
  }
}

function write(inode: Inode, change: Change): void {
  inode.content = applied(inode.content, change);
  inode.changes.push(change);
}

/** Copy on write: `durable` and `content` may be the same array. */
function applied(content: Uint8Array, change: Change): Uint8Array {
  if (change.kind === "truncate") {
    const cut = new Uint8Array(change.size);
    cut.set(content.subarray(0, change.size));
    return cut;
  }
  const { position, bytes } = change;
  const result = new Uint8Array(Math.max(content.length, position + bytes.length));
  result.set(content);
  result.set(bytes, position);
  return result;
}

function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
