/** The thread of the fleet's index: changes in order, questions in turns, so that a long one keeps nobody waiting. */
import { rmSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { isTidewireError, reasonOf } from "../../base/mod.ts";
import { DynamicGroups, FleetSearcher } from "../../registry/mod.ts";
import type { FleetPartChange, Move, SearchAnswer } from "../../registry/mod.ts";
import { SqliteSearchIndex } from "./search-index.ts";
import type { Indexed } from "./search-index.ts";
import type { FromSearchThread, SearchOrder, SearchThreadStart, ToSearchThread } from "./search-protocol.ts";

const start = workerData as SearchThreadStart;
const { index, replaced } = opened(start);
const searcher = new FleetSearcher(index, () => performance.now());
let groups = new DynamicGroups([]);

/** Questions that are being answered, each a stride at a time; bounded by whoever asks. */
const running: { readonly id: number; readonly strides: Generator<void, SearchAnswer> }[] = [];
let turning = false;

parentPort!.on("message", ({ id, order }: ToSearchThread) => {
  try {
    if (order.order === "answer") {
      running.push({ id, strides: searcher.answer(order.request) });
      turn();
    } else say({ type: "done", id, result: perform(order) });
  } catch (error) {
    refuse(id, error);
  }
});

say({ type: "ready", complete: index.complete, replaced });

function perform(order: Exclude<SearchOrder, { order: "answer" }>): readonly Move[] | null {
  switch (order.order) {
    case "put":
      return movesAfter(index.put(order.changes));
    case "compare": {
      const { changes, after, upTo } = order;
      const indexed = index.put([...index.surplus(after, upTo, changes), ...changes]);
      // Of all of them: a group may not have been told what the index knew already.
      const all = [...indexed.map(({ thing }) => thing), ...registered(changes)];
      return movesAfter([...new Set(all)].map((thing) => ({ thing, fields: null })));
    }
    case "groups":
      groups = new DynamicGroups(order.groups);
      return null;
    case "complete":
      index.complete = order.complete;
      return null;
    case "close":
      index.close();
      parentPort!.close();
      return null;
  }
}

function registered(changes: readonly FleetPartChange[]): readonly string[] {
  return changes.filter(({ part }) => part === "registry").map(({ thing }) => thing);
}

function movesAfter(indexed: readonly Indexed[]): readonly Move[] {
  const changed = new Map<string, Set<string> | null>();
  for (const { thing, fields } of indexed) {
    const known = changed.get(thing);
    if (fields === null || known === null) changed.set(thing, null);
    else if (known === undefined) changed.set(thing, new Set(fields));
    else for (const field of fields) known.add(field);
  }
  const moves = new Map<string, Move>();
  for (const document of index.documents([...changed.keys()], "all")) {
    const fields = changed.get(document.thingName);
    groups.collect(document, fields === null || fields === undefined ? null : [...fields], moves);
  }
  return [...moves.values()];
}

function turn(): void {
  if (turning || running.length === 0) return;
  turning = true;
  setImmediate(() => {
    turning = false;
    const next = running.shift()!;
    try {
      const { done, value } = next.strides.next();
      if (done === true) say({ type: "done", id: next.id, result: value });
      else running.push(next);
    } catch (error) {
      refuse(next.id, error);
    }
    turn();
  });
}

function refuse(id: number, error: unknown): void {
  const known = isTidewireError(error);
  const details = known ? error.details : {};
  say({ type: "refused", id, code: known ? error.code : null, details, reason: reasonOf(error) });
}

function say(news: FromSearchThread): void {
  parentPort!.postMessage(news);
}

/** A file that cannot be read is a view that is lost: it is made anew. */
function opened({ path, tenant }: SearchThreadStart): { index: SqliteSearchIndex; replaced: string | null } {
  try {
    return { index: new SqliteSearchIndex({ path, tenant }), replaced: null };
  } catch (error) {
    for (const end of ["", "-wal", "-shm", "-pages"]) rmSync(`${path}${end}`, { force: true });
    return { index: new SqliteSearchIndex({ path, tenant }), replaced: reasonOf(error) };
  }
}
