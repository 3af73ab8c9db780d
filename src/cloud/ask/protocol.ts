/**
 * What the platform and an asking process say to each other over Node's IPC channel. The answer itself leaves through a pipe of its
 * own (descriptor 4), whose back-pressure reaches from the client's socket to DuckDB.
 *
 *   platform   open ──────────▶         check ─────────────▶           run ──▶
 *   process          ready ◀──                 checked | refused ◀──          answering … done | refused ◀──
 *
 * One query at a time. After `done`, and after a `refused` that no `answering` preceded, the next may be asked; in every other
 * case the process is killed: that ends whatever it does, at once, and gives back all that it held.
 */
import type { ErrorCode, ErrorDetails, Limits } from "../../base/mod.ts";
import type { Parameters, TimeRange, UserRelation, UserView } from "../../adapters/duckdb/mod.ts";

export const ANSWER_FORMATS = ["json", "ndjson", "csv", "parquet"] as const;
export type AnswerFormat = (typeof ANSWER_FORMATS)[number];

/** In a query's folder: the registry's things, where it reads them. */
export const THINGS_FILE = "things.ndjson";

export interface RunOrder {
  readonly type: "run";
  /** Holds the files of the views; the process may write there, too. */
  readonly folder: string;
  readonly views: readonly UserView[];
  readonly parameters: Parameters;
  readonly format: AnswerFormat;
  readonly explain: boolean;
  readonly rowsMax: number;
  /** Said in the answer, where its format has a place for it. */
  readonly incomplete: boolean;
}

export type ToAsker =
  | { readonly type: "open"; readonly limits: Limits["asking"] }
  | { readonly type: "check"; readonly sql: string; readonly parameters: Parameters }
  | RunOrder;

export type FromAsker =
  | { readonly type: "ready" }
  | { readonly type: "checked"; readonly relations: readonly UserRelation[]; readonly range: TimeRange }
  /** Bytes follow on the pipe. */
  | { readonly type: "answering" }
  /** `bytes`: how many there were on the pipe. */
  | { readonly type: "done"; readonly bytes: number; readonly rows: number; readonly truncated: boolean }
  | { readonly type: "refused"; readonly code: ErrorCode; readonly details: ErrorDetails };
