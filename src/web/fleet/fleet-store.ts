/** The things on the page: one page of the server's list, kept up to date live. */
import { batch, computed, signal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import type { ApiError, FleetEntry, FleetPage, LiveEvent } from "../../cloud/api/contract.ts";
import { apiErrorOf, call, withQuery } from "../api/client.ts";
import { FrameQueue } from "../live/frame-queue.ts";

export const FLEET_PAGE_SIZE = 100;
/** After presence changed for things that are not on this page, the totals are asked for again, at most so often. */
const TOTALS_DELAY_MS = 2000;

export type FleetStatus =
  | { readonly kind: "loading" }
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly error: ApiError };

export interface Totals {
  readonly total: number;
  readonly online: number;
}

export class FleetStore {
  readonly status = signal<FleetStatus>({ kind: "loading" });
  /** Rows in the server's order; each is a signal, so that one value redraws one row. */
  readonly rows = signal<readonly Signal<FleetEntry>[]>([]);
  /** Of the whole fleet; null until known. */
  readonly totals = signal<Totals | null>(null);
  readonly search = signal("");
  /** How many things the search found. */
  readonly found = signal(0);
  /** What is wrong with the query that was typed; the rows stay as they are meanwhile. */
  readonly searchError = signal<string | null>(null);
  readonly #cursors = signal<readonly (string | null)[]>([null]);
  readonly #next = signal<string | null>(null);
  readonly pageIndex = computed(() => this.#cursors.value.length - 1);
  readonly hasNext = computed(() => this.#next.value !== null);
  #byName = new Map<string, Signal<FleetEntry>>();
  #abort: AbortController | null = null;
  /** What came live while a request is on its way: its answer may be older, and must not undo that. */
  #during: LiveEvent[] | null = null;
  #totalsTimer: ReturnType<typeof setTimeout> | null = null;
  readonly #queue = new FrameQueue<LiveEvent>((events) => this.#apply(events));

  setSearch(text: string): void {
    this.search.value = text;
    this.#cursors.value = [null];
    void this.load();
  }

  nextPage(): void {
    const next = this.#next.peek();
    if (next === null) return;
    this.#cursors.value = [...this.#cursors.peek(), next];
    void this.load();
  }

  previousPage(): void {
    if (this.#cursors.peek().length === 1) return;
    this.#cursors.value = this.#cursors.peek().slice(0, -1);
    void this.load();
  }

  /** Loads the present page; what is shown stays until the answer is there. */
  async load(): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const search = this.search.peek();
    const during: LiveEvent[] = [];
    this.#during = during;
    try {
      const cursor = this.#cursors.peek().at(-1);
      const path = withQuery("api/fleet", { search, limit: FLEET_PAGE_SIZE, cursor });
      const page = await call<FleetPage>(path, { signal: abort.signal });
      if (abort.signal.aborted) return;
      this.#show(page, search);
      this.#apply(during);
    } catch (thrown) {
      if (abort.signal.aborted) return;
      const error = apiErrorOf(thrown);
      if (error.code === "SEARCH_QUERY_INVALID" && this.status.peek().kind === "ready") {
        this.searchError.value = error.message;
      } else this.status.value = { kind: "failed", error };
    } finally {
      if (this.#during === during) this.#during = null;
    }
  }

  receive(event: LiveEvent): void {
    if (event.type !== "alert") this.#during?.push(event);
    this.#queue.add(event);
  }

  stop(): void {
    this.#abort?.abort();
    this.#queue.stop();
    if (this.#totalsTimer !== null) clearTimeout(this.#totalsTimer);
  }

  #show(page: FleetPage, search: string): void {
    batch(() => {
      this.#byName = new Map(page.things.map((entry) => [entry.thingName, signal(entry)]));
      this.rows.value = [...this.#byName.values()];
      this.#next.value = page.cursor;
      this.found.value = page.total;
      this.searchError.value = null;
      if (search === "") this.totals.value = { total: page.total, online: page.online };
      else if (this.totals.peek() === null) this.#refreshTotals(0);
      this.status.value = { kind: "ready" };
    });
  }

  #apply(events: readonly LiveEvent[]): void {
    batch(() => {
      for (const event of events) {
        if (event.type === "presence") this.#presence(event);
        else if (event.type === "headline") {
          const row = this.#byName.get(event.thing);
          if (row !== undefined) row.value = { ...row.peek(), headline: event.headline };
        } else if (event.type === "alert") this.#refreshTotals(TOTALS_DELAY_MS);
      }
    });
  }

  #presence({ thing, presence }: LiveEvent & { readonly type: "presence" }): void {
    const row = this.#byName.get(thing);
    if (row === undefined) {
      // Another page of the list, or a new thing.
      this.#refreshTotals(TOTALS_DELAY_MS);
      return;
    }
    const before = row.peek();
    const change = Number(presence.state === "online") - Number(before.presence.state === "online");
    row.value = { ...before, presence };
    const totals = this.totals.peek();
    if (totals !== null && change !== 0) this.totals.value = { ...totals, online: totals.online + change };
  }

  #refreshTotals(delay: number): void {
    this.#totalsTimer ??= setTimeout(() => {
      this.#totalsTimer = null;
      void this.#loadTotals();
    }, delay);
  }

  async #loadTotals(): Promise<void> {
    try {
      // The first page as a whole where it is shown: new things appear, alerts are counted.
      if (this.search.peek() === "" && this.pageIndex.peek() === 0) return await this.load();
      const { total, online } = await call<FleetPage>("api/fleet?limit=1");
      this.totals.value = { total, online };
    } catch {
      // The next change asks again; the connection's own banner tells what is wrong.
    }
  }
}
