/** How every option says a span of time or a moment: one grammar, of `base/time-text.ts`. */
import { InvalidArgumentError, Option } from "commander";
import { systemClock } from "../adapters/system.ts";
import { momentIn, spanIn } from "../base/mod.ts";
import type { EpochMs, Millis } from "../base/mod.ts";

export function durationOf(text: string): Millis {
  const span = spanIn(text);
  if (span !== null) return span;
  throw new InvalidArgumentError("It must be a duration such as 30s, 15m, 2h or 14d.");
}

/** `fallback`: what holds without it, as one would write it. */
export function durationOption(name: string, text: string, fallback: string, read = durationOf): Option {
  return new Option(`${name} <duration>`, text).argParser(read).default(read(fallback), fallback);
}

export function agoOf(text: string): EpochMs {
  const moment = momentIn(text, systemClock.now(), "back");
  if (moment !== null) return moment;
  throw new InvalidArgumentError("It must be a time ago (10m, 2h, 3d) or a time (2026-12-31, 2026-12-31T08:00Z).");
}

export function aheadOf(text: string): EpochMs {
  const moment = momentIn(text, systemClock.now(), "ahead");
  if (moment !== null) return moment;
  throw new InvalidArgumentError("It must be a time from now (12h, 30d) or a time (2026-12-31, 2026-12-31T08:00Z).");
}
