/** Tracks → what is saved of them, and back, also where an older version saved it. */
import type { EpochMs } from "../../base/mod.ts";
import { CALM } from "./life-cycle.ts";
import type { Life, Policy } from "./life-cycle.ts";
import { TOLD_BEFORE, phaseOf } from "./model.ts";
import type { Alert, AlertRecord } from "./model.ts";
import type { AlertRow, StoredAlert } from "./store.ts";
import type { Track } from "./tracks.ts";

export function restoredTrack({ alert: saved, lastOffset, clearSince, more }: StoredAlert, policy: Policy): Track {
  const alert = completed(saved);
  const told = more?.told ?? (alert.state === "active" ? [TOLD_BEFORE] : []);
  const record: AlertRecord = { alert, history: more?.history ?? [], told: new Set(told) };
  const firing: Life = { ...CALM, phase: { type: "firing", clearSince }, raises: [alert.raisedAt] };
  const life = more?.life ?? (alert.state === "active" ? firing : CALM);
  return { ...placeOf(alert), record, life, policy, lastOffset, changed: "no", savedAt: 0, hasRow: false };
}

/** Null where the row cannot be read: what it remembered is of no use then. */
export function restoredLife(row: AlertRow, policyOf: (rule: string) => Policy): Track | null {
  if (row.document === null) return null;
  const saved = JSON.parse(row.document) as LifeRow;
  const { rule, key, thing, life, lastOffset, alert } = saved;
  const record: AlertRecord | null = alert === null ? null : { alert, history: [], told: new Set() };
  return {
    rule,
    key,
    thing,
    record,
    life,
    policy: policyOf(rule),
    lastOffset,
    changed: "no",
    savedAt: 0,
    hasRow: true,
  };
}

interface LifeRow {
  readonly rule: string;
  readonly key: string;
  readonly thing: string;
  readonly life: Life;
  readonly lastOffset: number;
  readonly alert: Alert | null;
}

export function resolvedAlert(alert: Alert, at: EpochMs): Alert {
  return { ...alert, state: "resolved", phase: "resolved", resolvedAt: at };
}

export function clearSinceOf({ phase }: Life): EpochMs | null {
  return phase.type === "firing" ? phase.clearSince : null;
}

export function storedOf({ record, lastOffset, life }: Track): StoredAlert {
  const { alert, history, told } = record!;
  // One that time has brought comes before the next message.
  return {
    alert,
    lastOffset: Math.floor(lastOffset),
    clearSince: clearSinceOf(life),
    more: { history, told: [...told], life },
  };
}

function placeOf({ rule, key, thing }: Alert): Pick<Alert, "rule" | "key" | "thing"> {
  return { rule, key, thing };
}

/** An alert of the version that knew only rule, thing and two states. */
function completed(saved: Alert): Alert {
  const given: Partial<Alert> = saved;
  if (given.phase !== undefined) return saved;
  const { raisedAt, thing } = saved;
  const defaults = {
    key: thing,
    source: "rule",
    value: null,
    threshold: null,
    labels: {},
    since: raisedAt,
    acknowledgedBy: null,
    assignee: null,
    snoozedUntil: null,
    flapping: false,
    phase: phaseOf(saved),
  } as const;
  return { ...defaults, ...given } as Alert;
}
