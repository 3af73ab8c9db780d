/** The plan of the house as data: floors, rooms, and what a room may never call. The tests beside this file hold it. */

/** Rooms by floor; imports go down only. A room's path is below `src/`. */
export const FLOORS: readonly (readonly string[])[] = [
  ["base"],
  ["wire/mqtt", "wire/proxy", "wire/record", "wire/websocket", "sql"],
  ["archive", "audit", "broker", "identity", "log", "people", "queue", "registry", "rules", "telemetry", "twin"],
  ["adapters"],
  ["cloud", "edge"],
  ["cli"],
  ["main.ts"],
];

/** Rooms up to this floor are cores without I/O. */
export const CORE_FLOOR_MAX = 2;

/** The dashboard stands beside the floors: what of `src/` it may import. */
export const WEB_MAY_IMPORT: readonly string[] = ["base", "sql", "cloud/api/contract.ts"];

export interface BannedCall {
  readonly pattern: RegExp;
  readonly instead: string;
  /** Paths below the root where the call is at home. */
  readonly allowedIn: readonly string[];
}

/** What is banned everywhere in `src/` but in its named home. */
export const BANNED_CALLS: readonly BannedCall[] = [
  { pattern: /\bDate\.now\(|\bnew Date\(\)/, instead: "the Clock port", allowedIn: ["src/adapters/", "src/web/"] },
  { pattern: /\bperformance\.now\(/, instead: "the Clock port", allowedIn: ["src/adapters/", "src/web/"] },
  { pattern: /\bMath\.random\(/, instead: "the Random port", allowedIn: ["src/adapters/", "src/web/"] },
  {
    pattern: /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\(|process\.nextTick\(/,
    instead: "the Scheduler port",
    allowedIn: ["src/adapters/", "src/web/"],
  },
  { pattern: /\bconsole\.\w+\(/, instead: "the Logger port", allowedIn: [] },
  { pattern: /\bas any\b|@ts-ignore|@ts-expect-error/, instead: "a type", allowedIn: [] },
  { pattern: /\b(?:FIXME|TODO|XXX)\b/, instead: "an issue", allowedIn: [] },
  { pattern: /\bexport \* from\b/, instead: "a list of names", allowedIn: [] },
  { pattern: /^\s*(?:export )?(?:const )?enum \w/m, instead: "a union of literals", allowedIn: [] },
  { pattern: /\bextends (?!Error\b)[A-Z]\w*(?:<[^>]*>)? \{/, instead: "composition", allowedIn: ["interfaces"] },
];

/** What a core (floors 0 to 2) may not even name. */
export const BANNED_IN_CORES: readonly BannedCall[] = [
  { pattern: /from "node:|import\("node:/, instead: "a port", allowedIn: [] },
  { pattern: /\bBuffer\b(?!\w)(?=[.(])/, instead: "Uint8Array and TextEncoder", allowedIn: [] },
  { pattern: /\bprocess\.\w/, instead: "an argument", allowedIn: [] },
  { pattern: /\bfetch\(/, instead: "a port", allowedIn: [] },
];

/** Files and folders of `src/` that an agent may not reach. */
export const NOT_ON_THE_AGENT: readonly string[] = [
  "@duckdb/node-api",
  "fastify",
  "src/cloud/",
  "src/web/",
  "@peculiar/x509",
];
