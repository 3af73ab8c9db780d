/** Fills dynamic groups with what their queries find: piece by piece where a group is new, thing by thing from then on. */
import { LIMITS, isTidewireError, reasonOf } from "../../base/mod.ts";
import type { Counter, Logger, Metrics } from "../../base/mod.ts";
import type { Move, Registry, SearchAnswers, SearchRequest, ThingGroup } from "../../registry/mod.ts";
import type { FleetIndex } from "./fleet-search.ts";

export interface GroupFillingOptions {
  readonly registry: Registry;
  readonly index: FleetIndex;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

const { perTurnMax } = LIMITS.search;

export class GroupFilling {
  readonly #o: GroupFillingOptions;
  #running = false;
  #again = false;
  readonly #skipped: Counter;

  constructor(options: GroupFillingOptions) {
    this.#o = options;
    this.#skipped = options.metrics.counter({
      name: "tidewire_dynamic_group_skipped_total",
      help: "Times that a thing did not get into a dynamic group: it is in as many groups as a thing may be",
    });
  }

  get busy(): boolean {
    return this.#running;
  }

  /** What a change made different. */
  apply({ group, add, remove }: Move): void {
    for (const change of pieces(add, remove)) {
      try {
        const { skipped } = this.#o.registry.groups.setDynamicMembers(group, change);
        this.#skipped.value += skipped.length;
      } catch (error) {
        // It is gone, or is a static one by now.
        if (!isTidewireError(error) || (error.code !== "NOT_FOUND" && error.code !== "REQUEST_INVALID")) throw error;
        return;
      }
    }
  }

  /** Fills those that are not ACTIVE, one after the other. What a restart broke off begins again. */
  resume(): void {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    void this.#fillAll().finally(() => {
      this.#running = false;
      if (!this.#again) return;
      this.#again = false;
      this.resume();
    });
  }

  async #fillAll(): Promise<void> {
    try {
      await this.#o.index.ready;
      for (const group of this.#o.registry.groups.dynamic()) {
        if (group.query !== null && group.query.status !== "ACTIVE") await this.#fill(group);
      }
    } catch (error) {
      this.#o.logger.warn("Dynamic groups are filled later", { reason: reasonOf(error) });
    }
  }

  async #fill({ thingGroupName: name, query: wanted }: ThingGroup): Promise<void> {
    const { registry, index, logger } = this.#o;
    const query = wanted!.queryString;
    const current = (): boolean => registry.groups.find(name)?.query?.queryString === query;
    const ask = async <R extends SearchRequest>(request: R): Promise<SearchAnswers[R["ask"]]> =>
      (await index.ask({ order: "answer", request })) as SearchAnswers[R["ask"]];
    for (let token: string | null = null; current();) {
      const page = registry.groups.members(name, { maxResults: LIMITS.registry.pageSizeMax, nextToken: token });
      const stay = new Set(await ask({ ask: "holding", query, things: page.items }));
      this.apply({ group: name, add: [], remove: page.items.filter((thing) => !stay.has(thing)) });
      if (page.nextToken === null) break;
      token = page.nextToken;
    }
    for (let after: string | null = ""; after !== null && current();) {
      const found: SearchAnswers["names"] = await ask({ ask: "names", query, after, limit: perTurnMax });
      this.apply({ group: name, add: [...found.things], remove: [] });
      after = found.upTo;
    }
    if (!current()) return;
    registry.groups.setDynamicMembers(name, { add: [], remove: [], status: "ACTIVE" });
    logger.info("A dynamic group is filled", { group: name });
  }
}

function* pieces(
  add: readonly string[],
  remove: readonly string[],
): Generator<{ readonly add: readonly string[]; readonly remove: readonly string[] }> {
  for (let at = 0; at < Math.max(add.length, remove.length); at += perTurnMax) {
    yield { add: add.slice(at, at + perTurnMax), remove: remove.slice(at, at + perTurnMax) };
  }
}
