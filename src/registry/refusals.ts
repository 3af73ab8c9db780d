/** Why a change of the registry is refused. */
import { TidewireError } from "../base/mod.ts";
import type { Thing } from "./records.ts";

export function notFound(kind: string, name: string): never {
  throw new TidewireError("NOT_FOUND", { kind, name });
}

export function limit(what: string, max: number): never {
  throw new TidewireError("LIMIT_REACHED", { what, limit: max });
}

export function checkVersion(thing: Thing, expected: number | undefined): void {
  if (expected === undefined || expected === thing.version) return;
  const details = { kind: "thing", name: thing.thingName, actual: thing.version, expected };
  throw new TidewireError("VERSION_CONFLICT", details);
}
