/** All alerts that this page knows: active ones always, the history once somebody looks at it. */
import { computed, signal } from "@preact/signals";
import type { Alert, AlertPage, AlertStory, ApiError, LiveEvent } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";
import { sortAlerts } from "./alert-order.ts";

const PAGE_SIZE = 250;

export const alerts = signal<ReadonlyMap<string, Alert>>(new Map());
export const alertsStatus = signal<{ readonly loaded: boolean; readonly error: ApiError | null }>({
  loaded: false,
  error: null,
});
export const historyStatus = signal<{ readonly loaded: boolean; readonly error: ApiError | null }>({
  loaded: false,
  error: null,
});
/** Active alerts that the server counts but that did not fit into the page. */
const beyondPage = signal(0);

export const activeAlerts = computed(() => sortAlerts([...alerts.value.values()].filter((a) => a.state === "active")));
export const pastAlerts = computed(() => sortAlerts([...alerts.value.values()].filter((a) => a.state === "resolved")));
export const activeCount = computed(() => activeAlerts.value.length + beyondPage.value);

export function alertsOf(thing: string): readonly Alert[] {
  return activeAlerts.value.filter((alert) => alert.thing === thing);
}

/** Per request that is on its way: what came live meanwhile. An answer may be older than that, and must not undo it. */
const livesDuring = new Set<Map<string, Alert>>();

/** Asks for alerts; the answer, with all that came live while it was on its way on top. */
async function fetchAlerts(state: "active" | "all"): Promise<{ page: AlertPage; alerts: readonly Alert[] }> {
  const during = new Map<string, Alert>();
  livesDuring.add(during);
  try {
    const page = await call<AlertPage>(`api/alerts?state=${state}&limit=${PAGE_SIZE}`);
    return { page, alerts: [...page.alerts, ...during.values()] };
  } finally {
    livesDuring.delete(during);
  }
}

/** Asked at the start and after every reconnect. What was active before and is not in the answer was resolved meanwhile. */
export async function loadActiveAlerts(): Promise<void> {
  try {
    const { page, alerts: found } = await fetchAlerts("active");
    const known = new Map(alerts.peek());
    for (const [id, alert] of known) if (alert.state === "active") known.delete(id);
    for (const alert of found) known.set(alert.id, alert);
    alerts.value = known;
    beyondPage.value = Math.max(0, page.active - page.alerts.length);
    alertsStatus.value = { loaded: true, error: null };
  } catch (thrown) {
    alertsStatus.value = { ...alertsStatus.peek(), error: apiErrorOf(thrown) };
  }
}

export async function loadAlertHistory(): Promise<void> {
  try {
    const { alerts: found } = await fetchAlerts("all");
    const known = new Map(alerts.peek());
    for (const alert of found) known.set(alert.id, alert);
    alerts.value = known;
    historyStatus.value = { loaded: true, error: null };
  } catch (thrown) {
    historyStatus.value = { ...historyStatus.peek(), error: apiErrorOf(thrown) };
  }
}

export function receiveAlert(event: LiveEvent): void {
  if (event.type !== "alert") return;
  put(event.alert);
}

/** Throws `ApiFailure`; the caller shows it where the button is. */
export async function acknowledge(id: string): Promise<void> {
  put(await call<Alert>(`api/alerts/${encodeURIComponent(id)}/acknowledge`, { method: "POST" }));
}

/** With its story. Throws `ApiFailure`. */
export function fetchStory(id: string): Promise<AlertStory> {
  return call<AlertStory>(`api/alerts/${encodeURIComponent(id)}`);
}

function put(alert: Alert): void {
  for (const during of livesDuring) during.set(alert.id, alert);
  alerts.value = new Map(alerts.peek()).set(alert.id, alert);
}
