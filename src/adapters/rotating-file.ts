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
  #descriptor: number | null;
  #size: number;

  constructor(path: string, options: RotatingFileOptions = {}) {
    this.#path = path;
    this.#bytesMax = options.fileBytesMax ?? mib(10);
    this.#filesMax = options.filesMax ?? 4;
    mkdirSync(dirname(path), { recursive: true });
    const descriptor = openSync(path, "a", 0o600);
    this.#descriptor = descriptor;
    this.#size = fstatSync(descriptor).size;
  }

  write(line: string): void {
    if (this.#descriptor === null) return;
    try {
      if (this.#size > this.#bytesMax) this.#rotate();
    } catch {
      // Better a file that grows than a log that ends.
    }
    try {
      this.#size += writeSync(this.#descriptor, line);
    } catch {
      // A full disk must not take the process along; whoever stores something says so where it matters.
    }
  }

  /** A line that comes later goes nowhere: the descriptor's number may be another file's by then. */
  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  /** Throws where the disk refuses; then the old file is written on, and the next line tries again. */
  #rotate(): void {
    rmSync(`${this.#path}.${this.#filesMax}`, { force: true });
    for (let n = this.#filesMax - 1; n >= 1; n--) renameIfThere(`${this.#path}.${n}`, `${this.#path}.${n + 1}`);
    renameIfThere(this.#path, `${this.#path}.1`);
    const old = this.#descriptor!;
    this.#descriptor = openSync(this.#path, "a", 0o600);
    this.#size = 0;
    closeSync(old);
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
