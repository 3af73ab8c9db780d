/** Where a query's relations come from: the store's files, and the registry's things. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TimeRange, UserRelation, UserSnapshot } from "../../adapters/duckdb/mod.ts";
import type { PresenceBook, Registry, Thing } from "../../registry/mod.ts";
import { THINGS_FILE } from "./protocol.ts";

export interface AskSources {
  readonly store: {
    snapshot(folder: string, relations: readonly UserRelation[], range: TimeRange): Promise<UserSnapshot>;
  };
  readonly registry: Registry;
  readonly presence: PresenceBook;
}

export function snapshotsOf(sources: AskSources) {
  return async (folder: string, relations: readonly UserRelation[], range: TimeRange): Promise<UserSnapshot> => {
    const stored = relations.filter((relation) => relation !== "things");
    const snapshot =
      stored.length === 0 ? { views: [], incomplete: false } : await sources.store.snapshot(folder, stored, range);
    if (!relations.includes("things")) return snapshot;
    await writeFile(join(folder, THINGS_FILE), thingLines(sources), { mode: 0o600 });
    return snapshot;
  };
}

/** Page by page, so that the broker gets its turn between two of them. */
async function* thingLines({ registry, presence }: AskSources): AsyncGenerator<string> {
  let nextToken: string | null = null;
  do {
    const page: { readonly items: readonly Thing[]; readonly nextToken: string | null } = registry.things.list({
      nextToken,
    });
    yield page.items.map((thing) => lineOf(thing, presence)).join("");
    ({ nextToken } = page);
  } while (nextToken !== null);
}

function lineOf({ thingName, thingTypeName, attributes, createdAt }: Thing, presence: PresenceBook): string {
  const { state, lastSeenAt } = presence.of(thingName);
  return `${JSON.stringify({
    thing: thingName,
    type: thingTypeName,
    attributes,
    created: new Date(createdAt).toISOString(),
    state,
    last_seen: lastSeenAt === null ? null : new Date(lastSeenAt).toISOString(),
  })}\n`;
}
