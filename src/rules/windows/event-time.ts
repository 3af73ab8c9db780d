/** When a message's reading was taken: what the statement says, else what the reading says, else when it was accepted. */
import { LIMITS, isJsonObject, parseIsoTime } from "../../base/mod.ts";
import type { EpochMs, JsonValue } from "../../base/mod.ts";
import type { SqlInput, StateValue } from "../../sql/mod.ts";

/** 2000-01-01T00:00:00Z. A device that has lost its clock starts at 1970. */
const TIME_MIN = 946_684_800_000;

/** `stated`: TIMESTAMP BY. A time that cannot be right is passed over: too old, or further ahead than clocks are wrong. */
export function eventTimeOf(input: SqlInput, stated: ((input: SqlInput) => StateValue) | null): EpochMs {
  if (stated !== null) return timeOf(stated(input), input.receivedAt) ?? input.receivedAt;
  const json = input.json() as JsonValue | undefined; // an exact number within is no time
  if (!isJsonObject(json)) return input.receivedAt;
  const { ts, timestamp } = json;
  if (ts === undefined && timestamp === undefined) return input.receivedAt;
  return timeOf(ts, input.receivedAt) ?? timeOf(timestamp, input.receivedAt) ?? input.receivedAt;
}

function timeOf(value: StateValue, receivedAt: EpochMs): EpochMs | null {
  const time = typeof value === "number" ? Math.floor(value) : typeof value === "string" ? parseIsoTime(value) : null;
  if (time === null || !(time >= TIME_MIN)) return null;
  return time <= receivedAt + LIMITS.telemetry.timeAheadMax ? time : null;
}
