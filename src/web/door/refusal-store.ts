/** Who was refused lately: of the whole fleet or of one thing, kept up to date live. */
import { batch, signal } from "@preact/signals";
import { LIMITS } from "../../base/mod.ts";
import type { LiveEvent, Refusal, RefusalPage } from "../../cloud/api/contract.ts";
import { call, withQuery } from "../api/client.ts";
import { steadyOrder } from "./refusal-words.ts";

const SHOWN_FIRST = 3;
const SHOWN_MORE = 20;
/** A device that knocks ten times a second is looked at no more often than this. */
const PAUSE_MS = 2000;

export class RefusalStore {
  /** No more than were asked for, and never more than `LIMITS.refusals.pageSizeMax`. */
  readonly refusals = signal<readonly Refusal[]>([]);
  readonly hasMore = signal(false);
  readonly #thing: string | null;
  #wanted = SHOWN_FIRST;
  #abort: AbortController | null = null;
  #again = false;
  #following = false;
  #stopped = false;

  constructor(thing: string | null) {
    this.#thing = thing;
  }

  stop(): void {
    this.#stopped = true;
    this.#abort?.abort();
  }

  async load(): Promise<void> {
    if (this.#stopped) return;
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const wanted = this.#wanted;
    // One more than is shown tells whether there are more.
    const limit = Math.min(wanted + 1, LIMITS.refusals.pageSizeMax);
    try {
      const path = withQuery("api/refusals", { thing: this.#thing, limit });
      const { refusals } = await call<RefusalPage>(path, { signal: abort.signal });
      if (abort.signal.aborted) return;
      batch(() => {
        this.refusals.value = steadyOrder(this.refusals.peek(), refusals.slice(0, wanted));
        this.hasMore.value = refusals.length > wanted;
      });
    } catch {
      // What is shown stays, with its age; the connection's own banner tells what is wrong.
    }
  }

  showMore(): void {
    this.#wanted = Math.min(this.#wanted + SHOWN_MORE, LIMITS.refusals.pageSizeMax);
    void this.load();
  }

  receive(event: LiveEvent): void {
    if (event.type === "refused") this.#loadSoon();
    // A device that got in may have been one of those that did not.
    else if (event.type === "presence" && this.#shows(event.thing) && event.presence.state === "online") {
      this.#loadSoon();
    }
  }

  #shows(thing: string): boolean {
    return this.refusals.peek().some((refusal) => refusal.thing === thing && !refusal.allowedNow);
  }

  #loadSoon(): void {
    this.#again = true;
    if (!this.#following) void this.#follow();
  }

  /** One request after the other: over a slow line the next event must not abort the answer that is on its way. */
  async #follow(): Promise<void> {
    this.#following = true;
    while (this.#again && !this.#stopped) {
      this.#again = false;
      await this.load();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    this.#following = false;
  }
}
