/** How finely points are kept: as they came, and as rollups of one minute, hour and day. */
import { days, hours, minutes } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";

export const ROLLUPS = ["1m", "1h", "1d"] as const;
export type Rollup = (typeof ROLLUPS)[number];

export const LEVELS = ["raw", ...ROLLUPS] as const;
export type Level = (typeof LEVELS)[number];

/** Buckets start at multiples of this since 1970. */
export const ROLLUP_WIDTH: Readonly<Record<Rollup, Millis>> = { "1m": minutes(1), "1h": hours(1), "1d": days(1) };

/** How long points of a level are kept, by their own time; null: for ever. */
export type Retention = Readonly<Record<Level, Millis | null>>;
