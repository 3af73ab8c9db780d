/** Where the chain is kept; `adapters/files/audit-log.ts` in the data folder. */
import type { Bytes, EpochMs } from "../base/mod.ts";

/** The end of the chain. */
export interface ChainHead {
  /** 0: there is no entry yet. */
  readonly sequence: number;
  readonly hash: string;
}

export interface AuditFile {
  readonly number: number;
  readonly bytes: Bytes;
  /** Of its first entry. */
  readonly from: EpochMs;
}

export interface AuditFiles {
  /** Oldest first; the last one is written to. */
  list(): readonly AuditFile[];
  readonly head: ChainHead;
  /** Bytes of an entry that a crash left half written; they were put aside, not thrown away. */
  readonly torn: { readonly bytes: Bytes; readonly keptAs: string } | null;
  /** Whole lines, on disk when it resolves; all of them or none. */
  append(text: string): Promise<void>;
  /** A new file that begins with these lines. */
  begin(text: string): Promise<void>;
  remove(number: number): Promise<void>;
  free(): Promise<Bytes>;
  /** Lines without their feeds; the last one may be half. */
  lines(number: number): AsyncIterable<string>;
  close(): Promise<void>;
}

/** A place apart from the files, so that whoever cuts their end has to change two. */
export interface AuditAnchor {
  read(): string | null;
  write(text: string): void;
}

export function anchorText({ sequence, hash }: ChainHead): string {
  return `${sequence} ${hash}`;
}

/** Null where it is none. */
export function parseAnchor(text: string | null): ChainHead | null {
  const match = /^(\d{1,15})[ :]([0-9a-f]{64})$/.exec(text?.trim() ?? "");
  return match === null ? null : { sequence: Number(match[1]), hash: match[2]! };
}
