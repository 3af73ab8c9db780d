/** Where a repository's files lie: a folder, or an S3-compatible bucket. A file appears as a whole or not at all. */
import type { Readable } from "node:stream";

export interface BackupPlace {
  /** For people. */
  readonly name: string;
  /** What a backup must not contain; null where it is elsewhere. */
  readonly folder: string | null;
  /** For copies under work; `keep` takes files from here. */
  readonly workFolder: string;
  /** Keys with slashes that begin with `prefix`, in their order. */
  list(prefix: string): Promise<readonly string[]>;
  /** Null where there is none. */
  read(key: string): Promise<Readable | null>;
  /** Takes the file; what `write` and it resolve for is durable, and says how many bytes it has. */
  keep(key: string, file: string): Promise<number>;
  write(key: string, text: string): Promise<void>;
  remove(key: string): Promise<void>;
  close(): Promise<void>;
}

/** In every place that is a repository. */
export const MARK = "tidewire-backup.json";
