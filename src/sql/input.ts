import type { EpochMs, JsonValue } from "../base/mod.ts";
import type { SqlValue } from "./value.ts";

/** What a statement is evaluated against: one message. */
export interface SqlInput {
  readonly topic: string;
  readonly clientId: string;
  readonly receivedAt: EpochMs;
  readonly payload: Uint8Array;
  /** The payload as JSON, parsed once and lazily by base's `parseJson`; undefined where it is not JSON. Never throws. */
  json(): JsonValue | undefined;
  /** The thing that published it; a publisher without one stands for itself. */
  readonly thing?: string;
  /** What a statement with windows or keyed state reads beside the message: see `window-plan.ts`. */
  readonly slots?: readonly SqlValue[] | undefined;
}
