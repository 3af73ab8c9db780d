/** Why a change of the registry is refused. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import { shown } from "./names.ts";

export function notFound(kind: string, name: string): never {
  throw new TidewireError("NOT_FOUND", { kind, name: shown(name, LIMITS.registry.nameLengthMax) });
}

export function alreadyExists(kind: string, name: string): never {
  throw new TidewireError("ALREADY_EXISTS", { kind, name });
}

export function limit(what: string, max: number): never {
  throw new TidewireError("LIMIT_REACHED", { what, limit: max });
}

export function stillInUse(kind: string, name: string, reason: string): never {
  throw new TidewireError("STILL_IN_USE", { kind, name, reason });
}

export function checkVersion(kind: string, name: string, actual: number, expected: number | undefined): void {
  if (expected === undefined || expected === actual) return;
  throw new TidewireError("VERSION_CONFLICT", { kind, name, actual, expected });
}
