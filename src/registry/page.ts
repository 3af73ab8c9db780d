/** Paging with opaque tokens: a token names its listing, so it cannot be taken to another one. */
import { LIMITS } from "../base/mod.ts";
import { invalid } from "./names.ts";
import type { Page } from "./records.ts";
import type { ByCreation } from "./store.ts";

export interface PageOptions {
  /** 1 to 250; default 250. */
  readonly maxResults?: number | undefined;
  readonly nextToken?: string | null | undefined;
}

/** Takes one more than asked for, to know whether there is a next page. `read` gets the key after which to go on. */
export function pageOf<T>(
  listing: string,
  options: PageOptions,
  keyOf: (item: T) => string,
  read: (after: string | null, limit: number) => readonly T[],
): Page<T> {
  const { pageSizeMax } = LIMITS.registry;
  const limit = options.maxResults ?? pageSizeMax;
  checkedPageSize(limit, pageSizeMax);
  const after =
    options.nextToken === undefined || options.nextToken === null ? null : keyIn(listing, options.nextToken);
  const items = read(after, limit + 1);
  if (items.length <= limit) return { items, nextToken: null };
  const shown = items.slice(0, limit);
  return { items: shown, nextToken: tokenFor(listing, keyOf(shown.at(-1)!)) };
}

/** A listing by time of creation: newest first unless `ascending`. */
export function byCreation<T extends { readonly createdAt: number; readonly certificateId: string }>(
  listing: string,
  options: PageOptions & { readonly ascending?: boolean | undefined },
  read: (slice: ByCreation) => readonly T[],
): Page<T> {
  const descending = options.ascending !== true;
  return pageOf(
    `${listing} ${descending ? "newest" : "oldest"}`,
    options,
    ({ createdAt, certificateId }) => `${createdAt}:${certificateId}`,
    (after, limit) => {
      const [createdAt, id = ""] = after?.split(":") ?? [];
      return read({ after: createdAt === undefined ? null : { createdAt: Number(createdAt), id }, limit, descending });
    },
  );
}

export function checkedPageSize(size: number, max: number): void {
  if (!Number.isInteger(size) || size < 1 || size > max) throw invalid(`maxResults must be between 1 and ${max}`);
}

export function tokenFor(listing: string, key: string): string {
  return btoa(`${listing}\n${key}`).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function keyIn(listing: string, token: string): string {
  const prefix = `${listing}\n`;
  if (/^[A-Za-z0-9_-]{1,512}$/.test(token) && token.length % 4 !== 1) {
    const text = atob(token.replaceAll("-", "+").replaceAll("_", "/"));
    if (text.startsWith(prefix)) return text.slice(prefix.length);
  }
  throw invalid("nextToken is not one that this listing gave out");
}
