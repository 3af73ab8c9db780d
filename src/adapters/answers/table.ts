/** A table that rules look things up in. Keys are compared as text: 5 and "5" are the same. */
import type { JsonObject } from "../../base/mod.ts";

export interface Table {
  /** The columns that a row is found by. */
  readonly key: string;
  readonly sort: string | null;
  /** Undefined where there is none. Rejects where the table cannot be asked. */
  row(key: string, sort: string | null): Promise<JsonObject | undefined>;
  close(): Promise<void>;
}
