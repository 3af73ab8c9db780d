/** `#/alerts`: what is wrong now, and what was. */
import { useEffect } from "preact/hooks";
import type { ApiError } from "../../cloud/api/contract.ts";
import { IconBell, IconCheckCircle } from "../shell/icons.tsx";
import { EmptyState, ErrorState, Skeleton } from "../shell/states.tsx";
import { hrefOf } from "../shell/router.ts";
import type { AlertsTab } from "../shell/router.ts";
import { AlertList } from "./alert-list.tsx";
import { SilencesTab } from "./silence-list.tsx";
import {
  activeAlerts,
  activeCount,
  alertsStatus,
  historyStatus,
  loadActiveAlerts,
  loadAlertHistory,
  pastAlerts,
} from "./alert-store.ts";

export function AlertsPage({ tab }: { readonly tab: AlertsTab }) {
  useEffect(() => {
    if (tab === "history") void loadAlertHistory();
  }, [tab]);
  return (
    <div class="page is-narrow">
      <header class="page-head">
        <h1>Alerts</h1>
      </header>
      <nav class="tabs" aria-label="Alerts">
        <a href={hrefOf({ page: "alerts", tab: "active" })} aria-current={tab === "active" ? "page" : undefined}>
          Active
          <span class="count">{activeCount}</span>
        </a>
        <a href={hrefOf({ page: "alerts", tab: "history" })} aria-current={tab === "history" ? "page" : undefined}>
          History
        </a>
        <a href={hrefOf({ page: "alerts", tab: "silences" })} aria-current={tab === "silences" ? "page" : undefined}>
          Silences
        </a>
      </nav>
      {tab === "active" ? <Active /> : tab === "history" ? <History /> : <SilencesTab />}
    </div>
  );
}

function Active() {
  const { loaded, error } = alertsStatus.value;
  const list = activeAlerts.value;
  if (!loaded) return <Waiting error={error} retry={() => void loadActiveAlerts()} />;
  if (list.length === 0) {
    return (
      <EmptyState icon={<IconCheckCircle />} title="Nothing is wrong">
        <p>
          When a <a href={hrefOf({ page: "rules", search: "" })}>rule</a> raises an alert, it appears here at once, and
          a number beside Alerts above.
        </p>
      </EmptyState>
    );
  }
  const more = activeCount.value - list.length;
  return (
    <>
      <AlertList alerts={list} showThing />
      {more > 0 && <p class="muted">And {more.toLocaleString("en")} more.</p>}
    </>
  );
}

function History() {
  const { loaded, error } = historyStatus.value;
  const list = pastAlerts.value;
  if (!loaded) return <Waiting error={error} retry={() => void loadAlertHistory()} />;
  if (list.length === 0) {
    return (
      <EmptyState icon={<IconBell />} title="No alert has ended yet">
        <p>Alerts that are over are kept here, with how long they lasted.</p>
      </EmptyState>
    );
  }
  return <AlertList alerts={list} showThing />;
}

function Waiting({ error, retry }: { readonly error: ApiError | null; readonly retry: () => void }) {
  return error === null ? <Skeleton rows={4} label="Loading alerts" /> : <ErrorState error={error} onRetry={retry} />;
}
