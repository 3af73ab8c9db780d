/** Looking for entries, newest first. */
import type { EpochMs } from "../base/mod.ts";
import { parseLine } from "./chain.ts";
import { parseEntry } from "./entry.ts";
import type { AuditEntry } from "./entry.ts";
import type { AuditFiles } from "./ports.ts";

export interface AuditQuery {
  /** Part of what names the actor: user, key, device. */
  readonly actor?: string | undefined;
  /** Whole, or with `*` at its end. */
  readonly action?: string | undefined;
  /** Part of it. */
  readonly target?: string | undefined;
  readonly outcome?: string | undefined;
  readonly since?: EpochMs | undefined;
  readonly until?: EpochMs | undefined;
  /** Entries before this one. */
  readonly before?: number | undefined;
  readonly limit: number;
}

export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  /** Where to go on; null: there are no more. */
  readonly before: number | null;
}

/** One call looks through so many bytes, so that a rare word in a year's log is found in several. */
const SCANNED_BYTES_MAX = 128 * 1024 * 1024;

export async function searchAudit(files: Pick<AuditFiles, "list" | "lines">, query: AuditQuery): Promise<AuditPage> {
  const { limit, since = 0, before = Infinity } = query;
  const found: AuditEntry[] = [];
  const all = files.list();
  let scanned = 0;
  for (let index = all.length - 1; index >= 0; index--) {
    const { number, bytes } = all[index]!;
    const nextFrom = all[index + 1]?.from;
    // A file ends where the next one begins.
    if (nextFrom !== undefined && nextFrom < since) break;
    const { matches, first } = await matchesIn(files.lines(number), query, limit - found.length + 1);
    found.push(...matches.toReversed());
    if (found.length > limit) return { entries: found.slice(0, limit), before: found[limit - 1]!.sequence };
    scanned += bytes;
    if (scanned > SCANNED_BYTES_MAX && index > 0) return { entries: found, before: Math.min(first ?? before, before) };
  }
  return { entries: found, before: null };
}

async function matchesIn(
  lines: AsyncIterable<string>,
  query: AuditQuery,
  most: number,
): Promise<{ readonly matches: readonly AuditEntry[]; readonly first: number | null }> {
  const matches: AuditEntry[] = [];
  let first: number | null = null;
  for await (const text of lines) {
    const line = parseLine(text);
    if (line === null) continue;
    if (first !== null && !mayMatch(line.entry, query)) continue;
    const entry = parseEntry(line.entry);
    first ??= entry?.sequence ?? null;
    if (entry === null || !matchesQuery(entry, query)) continue;
    matches.push(entry);
    if (matches.length > most * 2) matches.splice(0, matches.length - most);
  }
  return { matches: matches.slice(-most), first };
}

/** Cheaper than reading the JSON of all. */
function mayMatch(text: string, { action, target, outcome }: AuditQuery): boolean {
  if (action !== undefined && !text.includes(`"action":"${action.replace(/\*$/, "")}`)) return false;
  if (outcome !== undefined && !text.includes(`"outcome":"${outcome}"`)) return false;
  return target === undefined || text.includes(JSON.stringify(target).slice(1, -1));
}

function matchesQuery(entry: AuditEntry, query: AuditQuery): boolean {
  const { actor, action, target, outcome, since = 0, until = Infinity, before = Infinity } = query;
  if (entry.time < since || entry.time >= until || entry.sequence >= before) return false;
  if (outcome !== undefined && entry.outcome !== outcome) return false;
  if (action !== undefined) {
    const isPrefix = action.endsWith("*");
    if (isPrefix ? !entry.action.startsWith(action.slice(0, -1)) : entry.action !== action) return false;
  }
  if (target !== undefined && entry.target?.includes(target) !== true) return false;
  return actor === undefined || Object.values(entry.actor).some((text) => text?.includes(actor) === true);
}
