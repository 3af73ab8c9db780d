/** What the platform and the thread of the fleet's index say to each other. */
import type { ErrorDetails } from "../../base/mod.ts";
import type { DynamicQuery, FleetPartChange, Move, SearchAnswer, SearchRequest } from "../../registry/mod.ts";

export interface SearchThreadStart {
  readonly path: string;
  readonly tenant: string;
}

export type SearchOrder =
  | { readonly order: "put"; readonly changes: readonly FleetPartChange[] }
  /** These are all parts of all things behind `after` and up to `upTo`; null: to the end. */
  | {
      readonly order: "compare";
      readonly changes: readonly FleetPartChange[];
      readonly after: string;
      readonly upTo: string | null;
    }
  | { readonly order: "groups"; readonly groups: readonly DynamicQuery[] }
  /** Everything is in it from here on, or it is not said any more. */
  | { readonly order: "complete"; readonly complete: boolean }
  | { readonly order: "close" }
  | { readonly order: "answer"; readonly request: SearchRequest };

export interface ToSearchThread {
  readonly id: number;
  readonly order: SearchOrder;
}

export interface SearchResults {
  readonly put: readonly Move[];
  readonly compare: readonly Move[];
  readonly groups: null;
  readonly complete: null;
  readonly close: null;
  readonly answer: SearchAnswer;
}

export type FromSearchThread =
  /** `complete`: nothing needs to be compared. */
  | { readonly type: "ready"; readonly complete: boolean; readonly replaced: string | null }
  | { readonly type: "done"; readonly id: number; readonly result: SearchResults[keyof SearchResults] }
  /** Code null: a mistake of ours. */
  | {
      readonly type: "refused";
      readonly id: number;
      readonly code: string | null;
      readonly details: ErrorDetails;
      readonly reason: string;
    };
