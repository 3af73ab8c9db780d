import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alert } from "../../cloud/api/contract.ts";
import { sortAlerts } from "./alert-order.ts";

function alert(id: string, more: Partial<Alert>): Alert {
  return {
    id,
    rule: "r",
    thing: "t",
    key: "t",
    source: "rule",
    phase: "firing",
    value: null,
    threshold: null,
    labels: {},
    since: 0,
    acknowledgedBy: null,
    assignee: null,
    snoozedUntil: null,
    flapping: false,
    severity: "warning",
    state: "active",
    summary: id,
    raisedAt: 0,
    lastSeenAt: 0,
    resolvedAt: null,
    acknowledgedAt: null,
    count: 1,
    ...more,
  };
}

test("what needs a person comes first; what is over comes last, the latest end first", () => {
  const sorted = sortAlerts([
    alert("ended-early", { state: "resolved", resolvedAt: 10 }),
    alert("seen-critical", { severity: "critical", acknowledgedAt: 5 }),
    alert("info", { severity: "info", raisedAt: 99 }),
    alert("old-critical", { severity: "critical", raisedAt: 1 }),
    alert("ended-late", { state: "resolved", resolvedAt: 20 }),
    alert("new-critical", { severity: "critical", raisedAt: 2 }),
    alert("warning", {}),
  ]);
  assert.deepEqual(
    sorted.map(({ id }) => id),
    ["new-critical", "old-critical", "warning", "info", "seen-critical", "ended-late", "ended-early"],
  );
});
