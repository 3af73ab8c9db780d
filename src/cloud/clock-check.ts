/** Refuses to start on a clock that cannot be right: it would write wrong history and misjudge certificates. */
import type { EpochMs } from "../base/mod.ts";
import { TidewireError, days } from "../base/mod.ts";

export interface ClockEvidence {
  readonly releasedAt: EpochMs;
  /** Time of the newest record in the log; null where there is none. */
  readonly newestRecordAt: EpochMs | null;
  /** End of our CA's certificate. */
  readonly caEndsAt: EpochMs;
}

/** A clock may be set back a little (summer time handled by hand, a drifted board), never by more than this. */
const STEP_BACK_MAX = days(1);

/** Throws CLOCK_IMPLAUSIBLE. */
export function checkClock(now: EpochMs, evidence: ClockEvidence): void {
  const reason = implausible(now, evidence);
  if (reason !== null) throw new TidewireError("CLOCK_IMPLAUSIBLE", { now: new Date(now).toISOString(), reason });
}

function implausible(now: EpochMs, { releasedAt, newestRecordAt, caEndsAt }: ClockEvidence): string | null {
  const day = (time: EpochMs): string => new Date(time).toISOString().slice(0, 10);
  if (now < releasedAt) return `which is before this Tidewire was released (${day(releasedAt)})`;
  if (newestRecordAt !== null && now < newestRecordAt - STEP_BACK_MAX) {
    return `but the newest message in the log is from ${new Date(newestRecordAt).toISOString()}`;
  }
  if (now > caEndsAt) return `which is after the end of the certificate authority (${day(caEndsAt)})`;
  return null;
}
