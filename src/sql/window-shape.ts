/** Which messages belong together. */
import type { Millis } from "../base/mod.ts";

export type WindowShape =
  /** Side by side: `[n × size + offset, … + size)`, aligned to 1970. */
  | { readonly kind: "tumble"; readonly size: Millis; readonly offset: Millis }
  /** Overlapping: one of `size` begins `every` so often, aligned to 1970. */
  | { readonly kind: "hop"; readonly size: Millis; readonly every: Millis }
  /** For each message the time up to it, itself included: `(t - size, t]`. */
  | { readonly kind: "slide"; readonly size: Millis }
  /** Messages less than `gap` apart; cut where it gets longer than `max`. */
  | { readonly kind: "session"; readonly gap: Millis; readonly max: Millis | null }
  /** The last `size` messages, after each `every` of them. */
  | { readonly kind: "count"; readonly size: number; readonly every: number };
