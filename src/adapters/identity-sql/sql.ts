/** What a database must do to hold identity: SQLite in the data folder, PostgreSQL behind its thread. */
import type { Cancel } from "../../base/mod.ts";
import type { RecordKind } from "../../registry/mod.ts";

/** The only tenant there is for now. */
export const FIRST_TENANT = "default";

export type Value = string | number | null;
export type Row = readonly (string | number | boolean | null)[];

/** Parts beside the registry that somebody keeps in memory: others are told only that something of it is different. */
export type KeptPart = "people" | "successions" | "presence";

/** What a statement changed, for whoever shares the database. */
export type Touched = readonly [kind: RecordKind | KeptPart, id: string, change: "updated" | "deleted"];

/**
 * Statements are written with `$1` for the tenant, which the database puts in, and `$2`… for their values. Tables are joined
 * by CROSS JOIN, from the one that is known: SQLite keeps this order, and without it takes the tenant, which all rows share,
 * for a narrow choice. PostgreSQL chooses by itself.
 */
export interface Sql {
  rows(text: string, values?: readonly Value[]): readonly Row[];
  /** As `rows`, within a transaction only. */
  change(text: string, values: readonly Value[], touched?: readonly Touched[]): readonly Row[];
  /** The function that finds a text in another: 0 where it is not. */
  readonly position: "instr" | "strpos";
}

export interface Database extends Sql {
  /** All or nothing, on disk when it returns; within another one it is a part of that. */
  transaction<T>(work: () => T): T;
}

/** For what only one of several platforms on one database may do. Each is lost with the connection. */
export interface Locks {
  /** Whether it is held here, now or already. */
  lock(name: string): boolean;
  unlock(name: string): void;
}

/** A part that is in memory here, in a database that others write to as well. */
export interface SharedPart {
  /** Counts the commits that changed it. */
  revision(): number;
  /** Within a transaction that changes it; returns the new revision. */
  count(): number;
  /** Told soon after somebody else has changed it; again when the database is back, where the listener threw. */
  onNews(listener: () => void): Cancel;
}

/** `($1, $2, $3), ($1, $4, $5)`: rows of `columns` values each after the tenant. */
export function rowsOf(count: number, columns: number, from = 2): string {
  const row = (index: number): string =>
    Array.from({ length: columns }, (_, column) => `$${from + index * columns + column}`).join(", ");
  return Array.from({ length: count }, (_, index) => `($1, ${row(index)})`).join(", ");
}

export function textOrNull(value: string | number | boolean | null | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}

export function numberOrNull(value: string | number | boolean | null | undefined): number | null {
  return value === null || value === undefined ? null : Number(value);
}
