/**
 * Search over the fleet, and the dynamic groups. What changes is collected for half a second and goes to the index in pieces;
 * a question waits for what was changed before it. Where changes were missed, all things are compared with the index.
 */
import { LIMITS, reasonOf } from "../../base/mod.ts";
import type { Cancel, Counter, Logger, Metrics, Scheduler } from "../../base/mod.ts";
import { parseQuery } from "../../registry/mod.ts";
import type {
  Change,
  FleetPartChange,
  Move,
  PresenceBook,
  Registry,
  SearchAnswers,
  SearchRequest,
} from "../../registry/mod.ts";
import type { SearchOrder, SearchResults } from "../../adapters/sqlite/search-protocol.ts";
import { GroupFilling } from "./group-filling.ts";
import { allParts, partOf } from "./parts.ts";
import type { FleetSources } from "./parts.ts";

/** The index's thread. */
export interface FleetIndex {
  readonly ready: Promise<boolean>;
  /** Why nothing can be asked now; null where it can. */
  readonly problem?: string | null;
  /** Told when it is there again, or will be soon, after it died: what was on its way is lost. */
  onRestart?(listener: () => void): Cancel;
  ask<O extends SearchOrder>(order: O): Promise<SearchResults[O["order"]]>;
}

export interface FleetSearchOptions extends FleetSources {
  readonly registry: Registry;
  readonly presence: PresenceBook;
  readonly shadows: FleetSources["shadows"] & {
    onChange(listener: (change: { readonly thing: string; readonly name: string }) => void): Cancel;
  };
  readonly index: FleetIndex;
  /** Others write to the registry, and may have while this platform was not there. */
  readonly shared: boolean;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

type PartName = FleetPartChange["part"];

const { perTurnMax, waitingMax, indexDelay } = LIMITS.search;

export class FleetSearch {
  readonly #o: FleetSearchOptions;
  /** Parts that changed; `waitingMax` things at most, then all are compared instead. */
  #waiting = new Map<string, Set<PartName>>();
  #comparing = false;
  #compareAgain = false;
  #timer: Cancel | null = null;
  /** The last of the pieces that were sent; a question goes behind it. */
  #draining: Promise<void> | null = null;
  readonly #filling: GroupFilling;
  readonly #cancels: readonly Cancel[];
  /** The index has been compared with everything, where it had to be. */
  readonly started: Promise<void>;
  readonly #failures: Counter;
  #closed = false;
  #started = false;
  #looking = 0;
  /** All that there is was in the index once, and nothing was missed since. */
  #complete = false;
  #missed = false;

  constructor(options: FleetSearchOptions) {
    this.#o = options;
    const { metrics, registry, presence, shadows } = options;
    this.#filling = new GroupFilling(options);
    this.#failures = metrics.counter({
      name: "tidewire_search_failures_total",
      help: "Times that the fleet's index could not take changes; all things are compared with it then",
    });
    metrics.observe(
      { name: "tidewire_search_waiting_things", help: "Things with changes that the fleet's index does not have yet" },
      () => this.#waiting.size,
    );
    this.#cancels = [
      registry.onChange((change) => this.#heard(change)),
      presence.onChange((thing) => this.#changed(thing, "connectivity")),
      shadows.onChange(({ thing, name }) => this.#changed(thing, `shadow ${name}`)),
      options.index.onRestart?.(() => {
        this.#missed = true;
        void this.#compare();
      }) ?? ((): void => {}),
    ];
    this.started = this.#start();
  }

  /** All things were compared, and every dynamic group is filled. */
  get settled(): boolean {
    return (
      this.#started &&
      this.#looking === 0 &&
      !this.#comparing &&
      this.#waiting.size === 0 &&
      this.#draining === null &&
      !this.#filling.busy
    );
  }

  /** Why nothing is found now, or not all; null where all is well. */
  get problem(): string | null {
    const ended = this.#o.index.problem ?? null;
    if (ended !== null) return `it is started again: ${ended}`;
    return this.#missed ? "all things are compared with it again, and some may not be found until then" : null;
  }

  /** Otherwise things are still being compared with the index, and some of them may not be found. */
  complete(): boolean {
    return this.#complete;
  }

  /**
   * AWS IoT's SearchIndex: things by name. Sees what was changed before the call. Throws SEARCH_QUERY_INVALID,
   * REQUEST_INVALID, SEARCH_UNAVAILABLE, TOO_MANY_REQUESTS.
   */
  run(
    query: string,
    { maxResults, nextToken }: { readonly maxResults?: number | undefined; readonly nextToken?: string | null } = {},
  ): Promise<SearchAnswers["page"]> {
    const page = { ...(maxResults === undefined ? {} : { maxResults }), nextToken: nextToken ?? null };
    return this.#answer({ ask: "page", query, ...page });
  }

  /** Numbers about what a query finds; as `run`, and SEARCH_TOO_BROAD. */
  aggregate<R extends Exclude<SearchRequest, { ask: "page" | "names" | "holding" }>>(
    request: R,
  ): Promise<SearchAnswers[R["ask"]]> {
    return this.#answer(request);
  }

  /** Everything that was changed before is in the index when it returns. */
  async flush(): Promise<void> {
    while (this.#draining !== null || this.#waiting.size > 0) {
      if (this.#closed) return;
      await this.#drain();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
    this.#timer?.();
    await this.#draining;
    try {
      const parts = [...this.#waiting].flatMap(([thing, names]) => [...names].map((part) => [thing, part] as const));
      // A few are written; for many it is the next start that compares.
      if (this.#complete && !this.#comparing && parts.length <= perTurnMax) {
        const changes = parts.map(([thing, part]) => partOf(this.#o, thing, part));
        await this.#o.index.ask({ order: "put", changes });
        await this.#o.index.ask({ order: "complete", complete: true });
      }
    } catch (error) {
      this.#o.logger.info("The fleet's index will be compared at the next start", { reason: reasonOf(error) });
    }
  }

  async #answer<R extends SearchRequest>(request: R): Promise<SearchAnswers[R["ask"]]> {
    parseQuery(request.query); // refused here: a mistake needs no thread
    await this.#o.index.ready;
    // A comparison or a storm of changes is not waited for: it would keep people waiting for what they did not do.
    if (this.#waiting.size <= perTurnMax) await this.#drain();
    return (await this.#o.index.ask({ order: "answer", request })) as SearchAnswers[R["ask"]];
  }

  async #start(): Promise<void> {
    try {
      const complete = await this.#o.index.ready;
      this.#tellGroups();
      await this.#o.index.ask({ order: "complete", complete: false });
      if (!complete || this.#o.shared) return await this.#compare();
      this.#complete = true;
      this.#filling.resume();
      // Connections ended after the index was closed.
      await this.#lookAgain("connectivity.connected:true", "connectivity");
    } catch (error) {
      if (!this.#closed) this.#failed(error);
    } finally {
      this.#started = true;
    }
  }

  #heard({ kind, id, change, others, principals }: Change): void {
    if (kind === "thing" && change !== "attached" && change !== "detached") {
      this.#changed(id, "registry");
      if (change === "created") this.#changed(id, "connectivity"); // it may have connected before it was known
    } else if (kind === "group") {
      for (const thing of others ?? []) this.#changed(thing, "registry");
      // Those that were in a group that is gone: the index is who still knows them.
      if (change === "deleted") void this.#lookAgain(`thingGroupNames:"${id}"`, "registry");
      if (others === undefined) this.#groupsChanged();
    } else if (kind === "policy" && id === "*" && principals === "all") void this.#compare();
  }

  #changed(thing: string, part: PartName): void {
    const parts = this.#waiting.get(thing);
    if (parts !== undefined) parts.add(part);
    else if (this.#waiting.size < waitingMax) this.#waiting.set(thing, new Set([part]));
    else {
      this.#waiting.clear();
      return void this.#compare();
    }
    this.#timer ??= this.#o.scheduler.after(indexDelay, () => {
      this.#timer = null;
      void this.#drain();
    });
  }

  /** One at a time, in order. */
  #drain(): Promise<void> {
    if (this.#draining !== null) return this.#draining;
    if (this.#waiting.size === 0) return Promise.resolve();
    this.#draining = this.#drainAll().finally(() => (this.#draining = null));
    return this.#draining;
  }

  async #drainAll(): Promise<void> {
    await this.#o.index.ready.catch(() => {});
    while (this.#waiting.size > 0 && !this.#closed) {
      const changes: FleetPartChange[] = [];
      try {
        for (const [thing, parts] of this.#waiting) {
          // The registry's part first: the index takes nothing about a thing that it does not know.
          const ordered = [...parts].sort((a, b) => Number(b === "registry") - Number(a === "registry"));
          for (const part of ordered) changes.push(partOf(this.#o, thing, part));
          this.#waiting.delete(thing);
          if (changes.length >= perTurnMax) break;
        }
        const moves = await this.#o.index.ask({ order: "put", changes });
        this.#apply(moves);
      } catch (error) {
        if (this.#closed) return;
        this.#failed(error);
        return;
      }
    }
  }

  #apply(moves: readonly Move[]): void {
    if (moves.length === 0) return;
    this.#o.registry.atomically(() => {
      for (const move of moves) this.#filling.apply(move);
    });
  }

  #failed(error: unknown): void {
    this.#complete = false;
    this.#missed = true;
    this.#failures.value++;
    this.#o.logger.warn("The fleet's index could not take changes; everything is compared with it in a while", {
      reason: reasonOf(error),
    });
    this.#timer?.();
    this.#timer = this.#o.scheduler.after(RETRY_DELAY, () => {
      this.#timer = null;
      void this.#compare();
    });
  }

  /** All things with the index, a page at a time. */
  async #compare(): Promise<void> {
    if (this.#comparing) {
      this.#compareAgain = true;
      return;
    }
    this.#comparing = true;
    this.#complete = false;
    const { registry, index } = this.#o;
    try {
      await index.ready;
      await index.ask({ order: "complete", complete: false });
      this.#tellGroups();
      let after = "";
      for (let token: string | null = null; ;) {
        if (this.#closed) return;
        const page = registry.things.list({ maxResults: perTurnMax, nextToken: token });
        const groups = registry.groups.namesOf(page.items.map((thing) => thing.thingName));
        const changes = page.items.flatMap((thing) => [...allParts(this.#o, thing, groups.get(thing.thingName) ?? [])]);
        const upTo = page.nextToken === null ? null : page.items.at(-1)!.thingName;
        this.#apply(await index.ask({ order: "compare", changes, after, upTo }));
        if (upTo === null) break;
        [after, token] = [upTo, page.nextToken];
      }
      this.#complete = true;
      this.#missed = false;
      this.#filling.resume();
    } catch (error) {
      if (!this.#closed) this.#failed(error);
    } finally {
      this.#comparing = false;
    }
    if (this.#compareAgain && !this.#closed) {
      this.#compareAgain = false;
      await this.#compare();
    }
  }

  #groupsChanged(): void {
    try {
      this.#tellGroups();
      this.#filling.resume();
    } catch (error) {
      this.#failed(error); // the registry is away
    }
  }

  #tellGroups(): void {
    const groups = this.#o.registry.groups
      .dynamic()
      .flatMap(({ thingGroupName: name, query }) => (query === null ? [] : [{ name, queryString: query.queryString }]));
    this.#o.index.ask({ order: "groups", groups }).catch((error: unknown) => {
      if (!this.#closed)
        this.#o.logger.warn("The fleet's index does not know of the groups", { reason: reasonOf(error) });
    });
  }

  /** A part of all things that the index finds. */
  async #lookAgain(query: string, part: PartName): Promise<void> {
    this.#looking++;
    try {
      await this.#o.index.ready;
      for (let after: string | null = ""; after !== null && !this.#closed;) {
        const request: SearchRequest = { ask: "names", query, after, limit: LIMITS.search.testedAtOnce };
        const { things, upTo } = (await this.#o.index.ask({ order: "answer", request })) as SearchAnswers["names"];
        for (const thing of things) this.#changed(thing, part);
        after = upTo;
      }
    } catch (error) {
      if (!this.#closed) this.#failed(error);
    } finally {
      this.#looking--;
    }
  }
}

/** After which the index is tried again. */
const RETRY_DELAY = 5_000;
