/** A file that is appended to line by line and rotates by size. */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { Bytes } from "../base/mod.ts";
import { mib } from "../base/mod.ts";

export interface RotatingFileOptions {
  /** Default 10 MiB. */
  readonly fileBytesMax?: Bytes;
  /** Rotated files kept beside the live one: `name.1` is the newest. Default 4. */
  readonly filesMax?: number;
}

/**
 * Synchronous appends: a log is a few lines a second (floods are rate-limited where they start), and the lines before a
 * crash are the ones that matter.
 */
export class RotatingFile {
  readonly #path: string;
  readonly #bytesMax: number;
  readonly #filesMax: number;
  #descriptor: number;
  #size: number;

  constructor(path: string, options: RotatingFileOptions = {}) {
    this.#path = path;
    this.#bytesMax = options.fileBytesMax ?? mib(10);
    this.#filesMax = options.filesMax ?? 4;
    mkdirSync(dirname(path), { recursive: true });
    this.#descriptor = openSync(path, "a", 0o600);
    this.#size = fstatSync(this.#descriptor).size;
  }

  write(line: string): void {
    try {
      if (this.#size > this.#bytesMax) this.#rotate();
      this.#size += writeSync(this.#descriptor, line);
    } catch {
      // A full disk must not take the process along; whoever stores something says so where it matters.
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #rotate(): void {
    rmSync(`${this.#path}.${this.#filesMax}`, { force: true });
    for (let n = this.#filesMax - 1; n >= 1; n--) renameIfThere(`${this.#path}.${n}`, `${this.#path}.${n + 1}`);
    renameIfThere(this.#path, `${this.#path}.1`);
    const next = openSync(this.#path, "a", 0o600);
    closeSync(this.#descriptor);
    this.#descriptor = next;
    this.#size = 0;
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
