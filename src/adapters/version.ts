import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { EpochMs } from "../base/mod.ts";

const manifest = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as {
  version: string;
};

export const VERSION: string = manifest.version;

/** No clock that is right can say a time before this release was made. */
export const RELEASED_AT: EpochMs = Date.parse("2026-11-01T00:00:00Z");
