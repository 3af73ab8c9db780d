/** A kind of file of a data folder: how it is made, and what its owner is asked before and after it was damaged. */
import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../../../src/base/mod.ts";

export interface Kind {
  readonly name: string;
  /** Fills an empty folder. */
  make(folder: string): Promise<void>;
  /** Opens what is in the folder as its owner does, tells by the logger what is amiss, and reads everything. */
  ask(folder: string, logger: Logger): Promise<unknown>;
  /** A person's text without checksums: what still reads well is taken as it is. */
  readonly text?: boolean;
  /** Out of so many cases one is of this kind; 1 unless said otherwise: some are slow. */
  readonly oneIn?: number;
  /** After the last case. */
  close?(): void;
}

export const NOW = 1_767_225_600_000;

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

/** As a SIGKILL leaves it: what was committed is in the write-ahead log. */
export function crashed(kind: Kind, file: string, fill: (path: string) => { close(): void }): Kind {
  return {
    ...kind,
    name: `${kind.name}, killed`,
    make(folder) {
      const open = fill(join(folder, `open-${file}`));
      for (const suffix of ["", "-wal", "-pages"]) {
        const from = join(folder, `open-${file}${suffix}`);
        if (existsSync(from)) copyFileSync(from, join(folder, `${file}${suffix}`));
      }
      open.close();
      mkdirSync(join(folder, "gone"));
      for (const suffix of ["", "-wal", "-shm", "-pages"]) {
        const from = join(folder, `open-${file}${suffix}`);
        if (existsSync(from)) renameSync(from, join(folder, "gone", file + suffix));
      }
      return Promise.resolve();
    },
  };
}
