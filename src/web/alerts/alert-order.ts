/** In which order alerts are read. */
import type { Alert, Severity } from "../../cloud/api/contract.ts";

const RANK: Readonly<Record<Severity, number>> = { critical: 0, warning: 1, info: 2 };

/** Active before resolved, not yet acknowledged before acknowledged, worst first, then newest first. */
export function sortAlerts(alerts: readonly Alert[]): Alert[] {
  return [...alerts].sort(
    (a, b) =>
      Number(a.state === "resolved") - Number(b.state === "resolved") ||
      (a.state === "resolved" ? (b.resolvedAt ?? 0) - (a.resolvedAt ?? 0) : 0) ||
      Number(a.acknowledgedAt !== null) - Number(b.acknowledgedAt !== null) ||
      RANK[a.severity] - RANK[b.severity] ||
      b.raisedAt - a.raisedAt ||
      (a.id < b.id ? -1 : 1),
  );
}
