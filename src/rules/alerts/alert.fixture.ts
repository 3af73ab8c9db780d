import type { Alert } from "./model.ts";

/** An alert that fires, with nothing special about it. */
export function alertOf(more: Partial<Alert> = {}): Alert {
  return {
    id: "r.t.1",
    rule: "r",
    key: "t",
    thing: "t",
    source: "rule",
    severity: "info",
    state: "active",
    phase: "firing",
    summary: "s",
    value: null,
    threshold: null,
    labels: {},
    since: 1,
    raisedAt: 1,
    lastSeenAt: 2,
    resolvedAt: null,
    acknowledgedAt: null,
    acknowledgedBy: null,
    assignee: null,
    snoozedUntil: null,
    flapping: false,
    count: 3,
    ...more,
  };
}
