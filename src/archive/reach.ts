/** From where the log is to be archived, given what the catalog knows of it. */
import type { CatalogContent } from "./catalog.ts";

export interface LogFacts {
  readonly identity: string | null;
  /** Offset of its oldest record. */
  readonly first: number;
  /** It is durable up to here. */
  readonly below: number;
}

export interface Reach {
  readonly kind: "known" | "another log";
  readonly from: number;
}

export function reach(content: CatalogContent, { identity, first, below }: LogFacts): Reach {
  const { offset } = content;
  if (offset === null) return { kind: "known", from: Math.min(first, below) };
  // Offsets of another log mean other messages.
  const other = content.identity !== null && identity !== null && content.identity !== identity;
  if (other) return { kind: "another log", from: Math.min(first, below) };
  // It has lost its end, and gives those offsets out again; what it still has is archived.
  if (offset > below) return { kind: "another log", from: below };
  return { kind: "known", from: offset };
}
