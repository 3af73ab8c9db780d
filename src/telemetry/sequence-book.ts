/** The sequence windows of all outboxes of all publishers, and which of them changed since the last commit. */
import type { Stamp } from "../base/mod.ts";
import { SequenceWindow, formatSequenceState, parseSequenceState } from "./sequence-window.ts";

export interface SequenceLimits {
  readonly outboxesPerThingMax: number;
  readonly sequenceGapsMax: number;
  readonly stampedPublishersMax: number;
}

/** A publisher's outbox; `state` null where it was forgotten. */
export interface SequenceRow {
  readonly source: string;
  readonly outbox: string;
  readonly state: string | null;
}

/** A thing's own outboxes are its own: a publisher without a thing can never use its name. */
export function sourceOf(message: { readonly thing: string | null; readonly clientId: string }): string {
  return message.thing === null ? `client ${message.clientId}` : `thing ${message.thing}`;
}

/** Under which sources a thing, or a client of its name, may have stamped readings. */
export function sourcesOf(thing: string): readonly string[] {
  return [`thing ${thing}`, `client ${thing}`];
}

export class SequenceBook {
  /** Outboxes of a source in the order of their last use, oldest first. */
  readonly #sources = new Map<string, Map<string, SequenceWindow>>();
  readonly #changed = new Map<string, Set<string>>();
  readonly #limits: SequenceLimits;

  constructor(limits: SequenceLimits) {
    this.#limits = limits;
  }

  /** Brings back a saved state; rows in the order in which they were last used. */
  load(row: SequenceRow): void {
    const outboxes = this.#outboxes(row.source);
    outboxes.delete(row.outbox);
    if (row.state === null) return;
    outboxes.set(row.outbox, new SequenceWindow(this.#limits.sequenceGapsMax, parseSequenceState(row.state)));
  }

  /** True the first time that a stamp of this source is seen. */
  accept(source: string, stamp: Stamp): boolean {
    const outboxes = this.#outboxes(source);
    let window = outboxes.get(stamp.outbox);
    if (window === undefined) {
      window = new SequenceWindow(this.#limits.sequenceGapsMax);
      this.#makeRoom(source, outboxes);
    } else outboxes.delete(stamp.outbox);
    outboxes.set(stamp.outbox, window);
    const fresh = window.accept(stamp.sequence);
    if (fresh) this.#mark(source, stamp.outbox);
    return fresh;
  }

  /** What the source sent before is known no more. */
  forget(source: string): void {
    const outboxes = this.#sources.get(source);
    if (outboxes === undefined) return;
    this.#sources.delete(source);
    for (const outbox of outboxes.keys()) this.#mark(source, outbox);
  }

  /** Whether there is something to save. */
  get changed(): boolean {
    return this.#changed.size > 0;
  }

  /** What changed since the last call, to be saved with the points of the same messages. */
  takeChanged(): SequenceRow[] {
    const rows: SequenceRow[] = [];
    for (const [source, outboxes] of this.#changed) {
      for (const outbox of outboxes) rows.push(this.#row(source, outbox));
    }
    this.#changed.clear();
    return rows;
  }

  /** Everything, for rewriting the saved form. */
  all(): SequenceRow[] {
    const rows: SequenceRow[] = [];
    for (const [source, outboxes] of this.#sources) {
      for (const outbox of outboxes.keys()) rows.push(this.#row(source, outbox));
    }
    return rows;
  }

  #row(source: string, outbox: string): SequenceRow {
    const window = this.#sources.get(source)?.get(outbox);
    return { source, outbox, state: window === undefined ? null : formatSequenceState(window.state()) };
  }

  #outboxes(source: string): Map<string, SequenceWindow> {
    let outboxes = this.#sources.get(source);
    if (outboxes === undefined) {
      if (this.#sources.size >= this.#limits.stampedPublishersMax) this.#forgetFirst();
      this.#sources.set(source, (outboxes = new Map()));
    }
    return outboxes;
  }

  #forgetFirst(): void {
    const [first] = this.#sources;
    if (first === undefined) return;
    this.forget(first[0]);
  }

  #makeRoom(source: string, outboxes: Map<string, SequenceWindow>): void {
    if (outboxes.size < this.#limits.outboxesPerThingMax) return;
    const oldest = outboxes.keys().next().value;
    if (oldest === undefined) return;
    outboxes.delete(oldest);
    this.#mark(source, oldest);
  }

  #mark(source: string, outbox: string): void {
    let outboxes = this.#changed.get(source);
    if (outboxes === undefined) this.#changed.set(source, (outboxes = new Set()));
    outboxes.delete(outbox); // saved in the order of last use
    outboxes.add(outbox);
  }
}
