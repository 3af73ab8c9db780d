/** What is said where a rule cannot move. */
import { TidewireError } from "../base/mod.ts";

export function notMovable(name: string, reason: string): TidewireError {
  return new TidewireError("RULE_NOT_MOVABLE", { name, reason });
}

export function unreadable(reason: string, cause?: unknown): TidewireError {
  return new TidewireError("RULE_STATE_UNREADABLE", { reason }, { cause });
}

export function unsaved(): TidewireError {
  return new TidewireError("STORE_UNAVAILABLE", { reason: "the rules' state cannot be saved" });
}
