/** `#/alerts?alert=ID`: the story of one alert. */
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { hours, minutes } from "../../base/mod.ts";
import type { Alert, AlertStory, AlertTransition, ApiError } from "../../cloud/api/contract.ts";
import { ApiFailure, apiErrorOf } from "../api/client.ts";
import { formatTime, zoneName } from "../format/time.ts";
import { live, serverNow } from "../live/live.ts";
import { useJoins } from "../live/use-joins.ts";
import { IconCheckCircle } from "../shell/icons.tsx";
import { hrefOf } from "../shell/router.ts";
import { EmptyState, ErrorState, Skeleton } from "../shell/states.tsx";
import { Acknowledge, SeverityTag, SilenceButton, Times } from "./alert-list.tsx";
import { alerts, fetchStory } from "./alert-store.ts";

type Loaded =
  | { readonly kind: "loading" }
  | { readonly kind: "ready"; readonly story: AlertStory }
  | { readonly kind: "gone" }
  | { readonly kind: "failed"; readonly error: ApiError };

export function AlertPage({ id }: { readonly id: string }) {
  const { loaded, load } = useStory(id);
  const state = loaded.value;
  return (
    <div class="page is-narrow">
      <p class="story-back">
        <a class="link" href={hrefOf({ page: "alerts", tab: "active" })}>
          All alerts
        </a>
      </p>
      {state.kind === "loading" && <Skeleton rows={5} label="Loading the alert" />}
      {state.kind === "failed" && <ErrorState alone error={state.error} onRetry={() => void load()} />}
      {state.kind === "gone" && <Gone />}
      {state.kind === "ready" && <Story story={state.story} />}
    </div>
  );
}

/** At first, after each reconnect, and whenever the alert changes. */
function useStory(id: string) {
  const loaded = useSignal<Loaded>({ kind: "loading" });
  const load = async (): Promise<void> => {
    try {
      loaded.value = { kind: "ready", story: await fetchStory(id) };
    } catch (thrown) {
      // What was loaded before is still the best that is known.
      if (loaded.peek().kind === "ready") return;
      const gone = thrown instanceof ApiFailure && thrown.status === 404;
      loaded.value = gone ? { kind: "gone" } : { kind: "failed", error: apiErrorOf(thrown) };
    }
  };
  useEffect(() => {
    void load();
    return live.watchFleet((event) => {
      if (event.type === "alert" && event.alert.id === id) void load();
    });
  }, [id]);
  useJoins(() => void load());
  // The buttons know what they did before the server tells everybody.
  useSignalEffect(() => {
    const known = alerts.value.get(id);
    const current = loaded.peek();
    if (known === undefined || current.kind !== "ready" || current.story.alert === known) return;
    if (known.acknowledgedAt !== current.story.alert.acknowledgedAt) void load();
  });
  return { loaded, load };
}

function Gone() {
  return (
    <EmptyState icon={<IconCheckCircle />} title="This alert is over and gone">
      <p>Alerts that ended are kept for a while, the newest of them. This one was, and is not any more.</p>
      <p>
        <a class="button" href={hrefOf({ page: "alerts", tab: "history" })}>
          To the history
        </a>
      </p>
    </EmptyState>
  );
}

function Story({ story }: { readonly story: AlertStory }) {
  const { alert, history, groups } = story;
  return (
    <article class={`story is-${alert.state === "resolved" ? "resolved" : alert.severity}`} data-story={alert.id}>
      <header class="story-head">
        <SeverityTag severity={alert.severity} />
        <h1>{alert.summary}</h1>
        <p class="alert-facts">
          <strong>{PHASES[alert.phase]}</strong>
          <a class="link" href={hrefOf({ page: "thing", thing: alert.thing, range: null })}>
            {alert.thing}
          </a>
          <span>rule {alert.rule}</span>
          {alert.value !== null && (
            <span>
              {alert.value}
              {alert.threshold !== null && ` (threshold ${alert.threshold})`}
            </span>
          )}
          {alert.flapping && <span>flapping</span>}
          {alert.assignee !== null && <span>assigned to {alert.assignee}</span>}
          <Times alert={alert} />
        </p>
        {alert.state !== "resolved" && (
          <div class="alert-actions">
            <Acknowledge alert={alert} />
            <SilenceButton alert={alert} />
          </div>
        )}
      </header>
      <Chart alert={alert} />
      <Labels labels={alert.labels} />
      {groups.length > 0 && <WhoIsTold groups={groups} />}
      <section aria-label="What happened">
        <h2>What happened</h2>
        <ol class="story-line">
          {history.map((line) => (
            <Line key={`${line.at} ${line.type} ${line.note ?? ""}`} line={line} />
          ))}
        </ol>
        <p class="muted">Times are in {zoneName(serverNow.peek())}.</p>
      </section>
    </article>
  );
}

const PHASES: Readonly<Record<Alert["phase"], string>> = {
  pending: "Pending",
  firing: "Firing",
  acknowledged: "Acknowledged",
  resolved: "Resolved",
};

/** The same picture that notifications carry; where there is none, there is nothing. */
function Chart({ alert }: { readonly alert: Alert }) {
  const missing = useSignal(false);
  const span = {
    from: Math.floor(alert.since - hours(2)),
    to: Math.ceil((alert.resolvedAt ?? serverNow.peek()) + minutes(15)),
  };
  const state = `${alert.phase}-${alert.resolvedAt ?? alert.lastSeenAt}`;
  return (
    <section class="story-chart" aria-label="Chart">
      {!missing.value && (
        <img
          src={`api/alerts/${encodeURIComponent(alert.id)}/picture.svg?${encodeURIComponent(state)}`}
          alt={`What was measured around the alert: ${alert.summary}`}
          width={640}
          height={360}
          onError={() => (missing.value = true)}
        />
      )}
      <p>
        <a class="link" href={hrefOf({ page: "thing", thing: alert.thing, range: null, span })}>
          All charts of {alert.thing} at that time
        </a>
      </p>
    </section>
  );
}

/** What the rule says besides: a runbook is a link. */
function Labels({ labels }: { readonly labels: Alert["labels"] }) {
  const entries = Object.entries(labels);
  if (entries.length === 0) return null;
  return (
    <dl class="story-labels" aria-label="Labels">
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {/^https?:\/\/\S+$/.test(value) ? (
              <a class="link" href={value} target="_blank" rel="noopener noreferrer">
                {value}
              </a>
            ) : (
              value
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function WhoIsTold({ groups }: Pick<AlertStory, "groups">) {
  return (
    <section aria-label="Who is told">
      <h2>Who is told</h2>
      <ul class="story-told">
        {groups.map(({ group, contacts, muted }) => (
          <li key={group}>
            {contacts.length === 0 ? "nobody, by its route" : contacts.join(", ")}
            {muted !== null && <span class="muted"> · not now: {muted.reason}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

const WORDS: Readonly<Record<AlertTransition["type"], string>> = {
  pending: "The condition began to hold",
  raised: "Raised",
  acknowledged: "Acknowledged",
  unacknowledged: "Acknowledgement taken back",
  assigned: "Assigned",
  commented: "Comment",
  snoozed: "Snoozed",
  flapping: "Came and went too often: flapping",
  notified: "Told",
  muted: "Nobody was told",
  escalated: "Escalated to",
  resolved: "Resolved",
};

function Line({ line: { at, type, by, note } }: { readonly line: AlertTransition }) {
  return (
    <li class={`is-${type}`}>
      <time dateTime={new Date(at).toISOString()}>{formatTime(at)}</time>
      <span>
        <strong>{WORDS[type]}</strong>
        {by !== null && ` by ${by}`}
        {note !== null && <span class="story-note">{note}</span>}
      </span>
    </li>
  );
}
