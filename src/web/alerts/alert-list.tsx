/** Alerts as a list: what, where, since when, how often, and the button that says "I have seen it". */
import { useSignal } from "@preact/signals";
import type { Alert, ApiError, Severity } from "../../cloud/api/contract.ts";
import { apiErrorOf } from "../api/client.ts";
import { plural } from "../format/labels.ts";
import { formatAge, formatRecent, formatTime } from "../format/time.ts";
import { formatDuration } from "../format/units.ts";
import { serverNow } from "../live/live.ts";
import { IconCheck, IconCritical, IconInfo, IconWarning } from "../shell/icons.tsx";
import { hrefOf } from "../shell/router.ts";
import { may } from "../api/session.ts";
import { acknowledge } from "./alert-store.ts";
import { silenceAlert } from "./silence-list.tsx";

const WORDS: Readonly<Record<Severity, string>> = { critical: "Critical", warning: "Warning", info: "Info" };

export function SeverityTag({ severity }: { readonly severity: Severity }) {
  const Icon = severity === "critical" ? IconCritical : severity === "warning" ? IconWarning : IconInfo;
  return (
    <span class={`severity is-${severity}`}>
      <Icon />
      {WORDS[severity]}
    </span>
  );
}

export function AlertList({ alerts, showThing }: { readonly alerts: readonly Alert[]; readonly showThing: boolean }) {
  return (
    <ul class="alert-list">
      {alerts.map((alert) => (
        <AlertRow key={alert.id} alert={alert} showThing={showThing} />
      ))}
    </ul>
  );
}

function AlertRow({ alert, showThing }: { readonly alert: Alert; readonly showThing: boolean }) {
  const resolved = alert.state === "resolved";
  return (
    <li class={`alert is-${resolved ? "resolved" : alert.severity}`} data-alert={alert.id}>
      <SeverityTag severity={alert.severity} />
      <div class="alert-text">
        <p class="alert-summary">{alert.summary}</p>
        <p class="alert-facts">
          {showThing && (
            <a class="link" href={hrefOf({ page: "thing", thing: alert.thing, range: null })}>
              {alert.thing}
            </a>
          )}
          <span>{alert.rule}</span>
          {alert.value !== null && (
            <span>
              {alert.value}
              {alert.threshold !== null && ` (threshold ${alert.threshold})`}
            </span>
          )}
          {alert.flapping && <span>flapping</span>}
          {alert.assignee !== null && <span>{alert.assignee}</span>}
          <Times alert={alert} />
          {alert.count > 1 && <span>{plural(alert.count, "reading")}</span>}
          <a class="link" href={hrefOf({ page: "alert", id: alert.id })}>
            Story
          </a>
        </p>
      </div>
      {!resolved && (
        <div class="alert-actions">
          <Acknowledge alert={alert} />
          <SilenceButton alert={alert} />
        </div>
      )}
    </li>
  );
}

export function Times({ alert }: { readonly alert: Alert }) {
  const now = serverNow.value;
  const since = (
    <time dateTime={new Date(alert.raisedAt).toISOString()} title={formatTime(alert.raisedAt)}>
      {formatRecent(alert.raisedAt, now)}
    </time>
  );
  if (alert.resolvedAt === null) {
    return (
      <span title={`Last confirmed ${formatTime(alert.lastSeenAt)}`}>
        for {formatDuration(now - alert.raisedAt)}, since {since}
      </span>
    );
  }
  return (
    <span>
      {since}, resolved after {formatDuration(alert.resolvedAt - alert.raisedAt)}, {formatAge(now - alert.resolvedAt)}
    </span>
  );
}

/** For two hours; the list of silences ends it. */
export function SilenceButton({ alert }: { readonly alert: Alert }) {
  const state = useSignal<"loud" | "busy" | "silent">("loud");
  const error = useSignal<ApiError | null>(null);
  if (!may("alerts:write")) return null;
  const onClick = async (): Promise<void> => {
    if (state.value !== "loud") return;
    state.value = "busy";
    try {
      await silenceAlert(alert);
      state.value = "silent";
      error.value = null;
    } catch (thrown) {
      state.value = "loud";
      error.value = apiErrorOf(thrown);
    }
  };
  return (
    <div class="alert-action">
      <button
        type="button"
        class="button"
        aria-disabled={state.value !== "loud"}
        aria-label={`Silence for two hours: ${alert.summary}`}
        onClick={() => void onClick()}
      >
        {state.value === "silent" ? "Silenced" : "Silence 2 h"}
      </button>
      {error.value !== null && (
        <p class="alert-error" role="alert">
          {error.value.message} {error.value.fix}
        </p>
      )}
    </div>
  );
}

export function Acknowledge({ alert }: { readonly alert: Alert }) {
  const busy = useSignal(false);
  const error = useSignal<ApiError | null>(null);
  if (alert.acknowledgedAt !== null) {
    return (
      <p class="alert-acknowledged" title={formatTime(alert.acknowledgedAt)}>
        <IconCheck />
        Acknowledged{alert.acknowledgedBy === null ? "" : ` by ${alert.acknowledgedBy}`}
      </p>
    );
  }
  if (!may("alerts:write")) return null;
  const onClick = async (): Promise<void> => {
    busy.value = true;
    error.value = null;
    try {
      await acknowledge(alert.id);
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
    }
    busy.value = false;
  };
  return (
    <div class="alert-action">
      <button
        type="button"
        class="button"
        aria-disabled={busy.value}
        aria-label={`Acknowledge: ${alert.summary}`}
        onClick={() => {
          if (!busy.value) void onClick();
        }}
      >
        {busy.value ? "Acknowledging…" : "Acknowledge"}
      </button>
      {error.value !== null && (
        <p class="alert-error" role="alert">
          {error.value.message} {error.value.fix}
        </p>
      )}
    </div>
  );
}
