/**
 * What the platform and a process that looks at the past say to each other over Node's IPC channel.
 *
 *   platform   test | explain ──▶            answer ──▶             stop ──▶
 *   process                      ask … ◀──              progress … ◀──      tested | explained | refused ◀──
 *
 * One order per process; it ends with its answer, and is killed where it does not.
 */
import type { ErrorCode, ErrorDetails, JsonValue } from "../../base/mod.ts";
import type { ExternalName, ExternalRequest } from "../../sql/mod.ts";
import type { ExplainAnswer } from "../api/contract-rules.ts";
import type { ExplainOrder } from "./explain-recent.ts";
import type { PastTestOrder, PastTestProgress, PastTestResult } from "./past-test.ts";

/** `asked`: what rules may ask, of the platform. */
export type ToPast =
  | { readonly type: "test"; readonly order: PastTestOrder; readonly asked: readonly ExternalName[] }
  | { readonly type: "explain"; readonly order: ExplainOrder; readonly asked: readonly ExternalName[] }
  /** `fault`: there is no answer; else there is none where `value` is not there. */
  | { readonly type: "answer"; readonly id: number; readonly value?: JsonValue; readonly fault?: string }
  /** Answer with what there is. */
  | { readonly type: "stop" };

export type FromPast =
  | { readonly type: "progress"; readonly progress: PastTestProgress }
  | { readonly type: "ask"; readonly id: number; readonly request: ExternalRequest }
  | { readonly type: "tested"; readonly result: PastTestResult }
  | { readonly type: "explained"; readonly past: ExplainAnswer }
  | { readonly type: "refused"; readonly code: ErrorCode; readonly details: ErrorDetails }
  /** A mistake of ours. */
  | { readonly type: "failed"; readonly reason: string };
