/**
 * Things that should speak and do not: for rules with `absentSeconds`. A sleepy device is given the interval in which it
 * wakes; whether it is connected says nothing. Who was never heard is not missed.
 */
import type { EpochMs, Millis } from "../../base/mod.ts";
import { Deadlines } from "./deadlines.ts";
import type { AlertRow, DirtyRows } from "./store.ts";

export interface Heard {
  readonly rule: string;
  readonly key: string;
  readonly thing: string;
  readonly offset: number;
  readonly at: EpochMs;
  readonly span: Millis;
}

/** As it moves from one platform to another. */
export interface MovedWatch {
  readonly heard: Heard;
  readonly silent: boolean;
}

interface Watch {
  heard: Heard;
  /** As it stands on disk. */
  savedAt: EpochMs;
  silent: boolean;
}

export class Absences {
  readonly #rows: DirtyRows;
  readonly #max: number;
  /** Rule → key. Bounded by `alertWatchesMax`. */
  readonly #watches = new Map<string, Map<string, Watch>>();
  readonly #deadlines = new Deadlines<Watch>();
  #count = 0;
  #refused = 0;

  constructor(rows: DirtyRows, max: number) {
    this.#rows = rows;
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** Keys that are not watched because there are too many. */
  get refused(): number {
    return this.#refused;
  }

  /** Nobody could be heard while we were away: everybody has his span anew. */
  restore(rows: readonly AlertRow[], isWatched: (rule: string) => boolean, now: EpochMs): void {
    for (const row of rows) {
      if (row.kind !== "watch" || row.document === null) continue;
      const { heard, silent } = JSON.parse(row.document) as { heard: Heard; silent: boolean };
      if (!isWatched(heard.rule)) {
        this.#rows.put({ ...row, document: null });
        continue;
      }
      const watch: Watch = { heard, silent, savedAt: heard.at };
      this.#keys(heard.rule).set(heard.key, watch);
      this.#count++;
      if (!silent) this.#deadlines.set(watch, Math.max(heard.at, now) + heard.span);
    }
  }

  /** False: a replay, or too many are watched; it says nothing. */
  hear(heard: Heard): boolean {
    const keys = this.#keys(heard.rule);
    let watch = keys.get(heard.key);
    if (watch === undefined) {
      if (this.#count >= this.#max) {
        this.#refused++;
        return false;
      }
      watch = { heard, silent: false, savedAt: -Infinity };
      keys.set(heard.key, watch);
      this.#count++;
    } else if (heard.offset <= watch.heard.offset) return false;
    watch.heard = heard;
    this.#deadlines.set(watch, heard.at + heard.span);
    // A little old on disk costs nothing: after a restart everybody has his span anew.
    const isNews = watch.silent || heard.at - watch.savedAt > heard.span / 4 || heard.at < watch.savedAt;
    watch.silent = false;
    if (isNews) this.#save(watch);
    return true;
  }

  /** Who has fallen silent. */
  tick(now: EpochMs): Heard[] {
    const silent: Heard[] = [];
    for (;;) {
      const watch = this.#deadlines.take(now);
      if (watch === null) return silent;
      watch.silent = true;
      this.#save(watch);
      silent.push(watch.heard);
    }
  }

  shift(by: Millis): void {
    for (const watch of this.#all()) {
      const at = this.#deadlines.at(watch);
      if (at !== null) this.#deadlines.set(watch, at + by);
    }
  }

  /** What is watched for a rule. */
  of(rule: string): MovedWatch[] {
    return [...(this.#watches.get(rule)?.values() ?? [])].map(({ heard, silent }) => ({ heard, silent }));
  }

  /** A rule has come with them: those who were heard elsewhere were heard. */
  enter(watches: readonly MovedWatch[]): void {
    for (const { heard, silent } of watches) {
      if (!this.hear(heard) || !silent) continue;
      const watch = this.#keys(heard.rule).get(heard.key)!;
      watch.silent = true;
      this.#deadlines.set(watch, null);
      this.#save(watch);
    }
  }

  forgetRule(rule: string): void {
    for (const watch of this.#watches.get(rule)?.values() ?? []) this.#drop(watch);
  }

  forgetThing(thing: string): void {
    for (const watch of this.#all()) if (watch.heard.thing === thing) this.#drop(watch);
  }

  #drop(watch: Watch): void {
    const { rule, key } = watch.heard;
    const keys = this.#keys(rule);
    if (!keys.delete(key)) return;
    if (keys.size === 0) this.#watches.delete(rule);
    this.#count--;
    this.#deadlines.set(watch, null);
    this.#rows.put({ kind: "watch", id: `${rule} ${key}`, thing: watch.heard.thing, document: null });
  }

  #save(watch: Watch): void {
    const { heard, silent } = watch;
    watch.savedAt = heard.at;
    const document = JSON.stringify({ heard, silent });
    this.#rows.put({ kind: "watch", id: `${heard.rule} ${heard.key}`, thing: heard.thing, document });
  }

  #keys(rule: string): Map<string, Watch> {
    let keys = this.#watches.get(rule);
    if (keys === undefined) this.#watches.set(rule, (keys = new Map()));
    return keys;
  }

  *#all(): Iterable<Watch> {
    for (const keys of this.#watches.values()) yield* keys.values();
  }
}
