/** Pages of lists that the registry gives as a whole, because they are short by its limits. */
import { LIMITS, TidewireError } from "../../../base/mod.ts";

interface Wanted {
  readonly maxResults?: number | undefined;
  readonly nextToken?: string | undefined;
}

/** `nextToken` is the place of the next item. */
export function slice<T>(
  all: readonly T[],
  { maxResults = LIMITS.http.pageSizeMax, nextToken }: Wanted,
): { readonly items: readonly T[]; readonly nextToken: string | undefined } {
  const from = nextToken === undefined ? 0 : Number(/^at-(\d{1,9})$/.exec(nextToken)?.[1] ?? Number.NaN);
  if (Number.isNaN(from))
    throw new TidewireError("REQUEST_INVALID", { reason: "nextToken is not one that this listing gave out" });
  const to = from + maxResults;
  return { items: all.slice(from, to), nextToken: to < all.length ? `at-${to}` : undefined };
}
