/** What shadows need from a disk. `adapters/sqlite/shadow-store.ts` serves it. Opened for one tenant; no caller names it. */
import type { EpochMs } from "../base/mod.ts";
import type { ShadowKey } from "./topics.ts";

export interface StoredShadow extends ShadowKey {
  readonly version: number;
  /** `{"state":…,"metadata":…}`; null where it was deleted. */
  readonly text: string | null;
  readonly changedAt: EpochMs;
}

/** An answer as it is published. */
export interface Answer {
  readonly topic: string;
  readonly payload: string;
  /** Worth nothing after that; null: for ever. */
  readonly until: EpochMs | null;
  /** The request's. */
  readonly hops?: number;
}

/** Answers of one turn. They stay until the log has them: they may come twice, never not at all. */
export interface WaitingAnswers {
  /** The place in the log up to which requests were worked off when they were made; it tells them apart. */
  readonly position: number;
  readonly answers: readonly Answer[];
}

export interface TwinChanges {
  /** Every request below this offset of the log is done with. */
  readonly position: number;
  readonly shadows: readonly StoredShadow[];
  /** Those of this turn. */
  readonly answers: readonly Answer[];
  /** Waiting answers up to this position are in the log; -1: none. */
  readonly answered: number;
}

export interface ShadowStore {
  /** Where in the log to go on; null where nothing was ever saved. */
  position(): number | null;
  shadow(thing: string, name: string): StoredShadow | undefined;
  /** All of a thing, deleted ones too. */
  countOf(thing: string): number;
  /** Those with a name of their own that are there, by name, behind `after`. */
  named(thing: string, after: string, limit: number): readonly string[];
  /** All that are there. */
  count(): number;
  waiting(): readonly WaitingAnswers[];
  /**
   * One transaction. What is not `durable` survives the process but not a power cut: the log still has it then. A durable
   * one carries all earlier ones along.
   */
  save(changes: TwinChanges, durable: boolean): void;
  /** Removes all shadows of these things, their numbers too; durable. Returns how many. */
  forget(things: readonly string[]): number;
  /** Things that have shadows, by name, behind `after`. */
  things(after: string, limit: number): readonly string[];
  /** Removes the numbers of those deleted before that, at most `limit`; returns how many. */
  purge(deletedBefore: EpochMs, limit: number): number;
}
