/** What is to be said of a group now, and how loudly. */
import type { EpochMs } from "../../base/mod.ts";
import type { Group } from "./group.ts";
import { severityRank } from "./model.ts";
import type { Alert, AlertRecord } from "./model.ts";
import type { NotificationKind, Summary } from "./notification.ts";
import type { Route } from "./routing.ts";

/** Why nobody is told. */
export interface Mute {
  readonly by: "silence" | "maintenance" | "inhibition" | "snooze" | "time";
  readonly reason: string;
}

export interface Sorted {
  /** Of all that is to be shown. */
  readonly summary: Summary;
  /** Nobody was told of these. */
  readonly fresh: readonly AlertRecord[];
  /** Over, and somebody was told of them. */
  readonly over: readonly AlertRecord[];
  /** Muted, and nobody was told of them. */
  readonly untold: readonly (readonly [AlertRecord, Mute])[];
  /** Active and not muted. */
  readonly open: number;
  /** Of those, the ones that nobody has acknowledged. */
  readonly worried: number;
  readonly muted: number;
  /** The worst of which somebody was told before; null: nobody was told of any. Lower is worse. */
  readonly toldWorst: number | null;
  readonly freshWorst: number | null;
}

/** A reminder and an escalation must be heard, so they are new messages. */
export function formOf(kind: NotificationKind, { toldWorst }: Sorted): "edit" | "message" {
  return kind === "repeat" || kind === "escalation" || toldWorst === null ? "message" : "edit";
}

/** What nobody may miss although an edit makes no sound: that it is over, and that it is worse than was told. */
export function mustBeHeard(kind: NotificationKind, { toldWorst, freshWorst }: Sorted): boolean {
  return kind === "resolved" || (freshWorst !== null && toldWorst !== null && freshWorst < toldWorst);
}

/** Of severity ranks. */
export function worse(a: number | null, { severity }: Alert): number {
  return Math.min(a ?? Infinity, severityRank(severity));
}

export function kindOf(fresh: number, over: number, open: number): NotificationKind {
  if (fresh > 0) return "firing";
  return open === 0 && over > 0 ? "resolved" : "update";
}

/** As long as somebody is to be worried. */
export function isRepeatDue({ route, lastToldAt }: Group, now: EpochMs): boolean {
  return route.repeatInterval !== null && lastToldAt !== null && now - lastToldAt >= route.repeatInterval;
}

/** What is told of each alert alone, once, follows from the alert. */
export function needsRow(route: Route): boolean {
  return route.groupInterval > 0 || route.repeatInterval !== null || route.escalate.length > 0;
}
