import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alert } from "../../cloud/api/contract.ts";
import { activeAlerts, loadActiveAlerts, receiveAlert } from "./alert-store.ts";

const alert: Alert = {
  id: "hot.pump.1",
  rule: "hot",
  thing: "pump",
  key: "pump",
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
  summary: "Hot.",
  raisedAt: 1,
  lastSeenAt: 1,
  resolvedAt: null,
  acknowledgedAt: null,
  count: 1,
};

test("an alert that is raised while an older list is on its way stays; one that a new list leaves out goes", async (context) => {
  Object.assign(globalThis, { document: { baseURI: "http://127.0.0.1/" } }); // all of a browser that the client asks for
  context.after(() => Reflect.deleteProperty(globalThis, "document"));
  const answers: ((response: Response) => void)[] = [];
  context.mock.method(globalThis, "fetch", () => new Promise((resolve) => answers.push(resolve)));
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const none = (): Response => Response.json({ alerts: [], active: 0 });

  const first = loadActiveAlerts();
  await turn();
  receiveAlert({ type: "alert", alert });
  answers[0]!(none());
  await first;
  assert.deepEqual(activeAlerts.value, [alert]);

  const second = loadActiveAlerts();
  await turn();
  answers[1]!(none());
  await second;
  assert.deepEqual(activeAlerts.value, []);
});
