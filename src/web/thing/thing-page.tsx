/** `#/things/<name>`: one thing, live. */
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { ApiError, ForgottenThings, ThingDetail } from "../../cloud/api/contract.ts";
import { AlertList } from "../alerts/alert-list.tsx";
import { alertsOf } from "../alerts/alert-store.ts";
import { ApiFailure, apiErrorOf, call, withQuery } from "../api/client.ts";
import { formatTime } from "../format/time.ts";
import { viewOf, viewTo } from "../charts/ranges.ts";
import { AtTheDoor } from "../door/at-the-door.tsx";
import { Access } from "../logins/access-section.tsx";
import { Retire } from "../retired/retire-section.tsx";
import { live } from "../live/live.ts";
import { useJoins } from "../live/use-joins.ts";
import { useLoaded } from "../people/loaded.ts";
import { hrefOf, replaceRoute, route } from "../shell/router.ts";
import type { Route, TimeSpan } from "../shell/router.ts";
import { ErrorState, Skeleton } from "../shell/states.tsx";
import { Charts } from "./charts.tsx";
import { RangeBar } from "./range-bar.tsx";
import { ThingFeed } from "./thing-feed.ts";
import { setCurrentFeed } from "./current-feed.ts";
import { Shadows } from "./shadow-panel.tsx";
import { ThingHeader } from "./thing-header.tsx";
import { ValueTable } from "./value-table.tsx";
import { rangeKeys } from "./view-actions.ts";

type Loaded =
  | { readonly kind: "loading" }
  | { readonly kind: "ready"; readonly detail: ThingDetail }
  | { readonly kind: "failed"; readonly error: ApiError; readonly missing: boolean };

export interface ThingPageProps {
  readonly thing: string;
  readonly rangeName: string | null;
  /** What a link wants to show; null: the present. */
  readonly span: TimeSpan | null;
}

export function ThingPage({ thing, rangeName, span }: ThingPageProps) {
  const feed = useMemo(() => new ThingFeed(thing, live, viewOf(rangeName, span)), [thing]);
  const { loaded, load } = useDetail(thing);
  useEffect(() => {
    const unset = setCurrentFeed(feed);
    return () => {
      unset();
      feed.stop();
    };
  }, [feed]);
  // A link to another stretch of its time moves the charts of the page that is there.
  useEffect(() => {
    const next = viewTo(feed.view.peek(), rangeName, span);
    if (next !== null) feed.setView(next);
  }, [feed, rangeName, span?.from, span?.to]);
  // What is shown stands in the address: a reload shows the same, and a link to what was left leads back to it.
  useSignalEffect(() => {
    const view = feed.view.value;
    const current = route.peek();
    if (current.page !== "thing" || current.thing !== thing) return;
    const fixed = view.kind === "fixed" ? { span: { from: view.from, to: view.to } } : {};
    const shown: Route = { page: "thing", thing, range: view.range.name, ...fixed };
    if (hrefOf(shown) !== hrefOf(current)) replaceRoute(shown);
  });
  useEffect(() => {
    const onKey = rangeKeys(feed);
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [feed]);

  const state = loaded.value;
  if (state.kind === "failed" && state.missing) return <Missing thing={thing} />;
  return (
    <div class="page is-wide">
      <ThingHeader
        thing={thing}
        detail={state.kind === "ready" ? state.detail : null}
        waits={state.kind === "loading"}
        latest={feed.latest}
      />
      {state.kind === "failed" ? (
        <ErrorState error={state.error} onRetry={() => void load()} />
      ) : (
        <>
          <ActiveAlerts thing={thing} />
          <AtTheDoor thing={thing} />
          <RangeBar feed={feed} />
          <Body feed={feed} />
          <Shadows thing={thing} />
        </>
      )}
      {state.kind === "ready" && <Access detail={state.detail} reload={load} />}
      {state.kind === "ready" && <Retire key={thing} detail={state.detail} />}
    </div>
  );
}

/** The thing's own record: at first, after each reconnect, and whenever its presence changes. */
function useDetail(thing: string) {
  const loaded = useSignal<Loaded>({ kind: "loading" });
  const load = async (): Promise<void> => {
    try {
      const detail = await call<ThingDetail>(`api/things/${encodeURIComponent(thing)}`);
      if (detail.thingName === thing) loaded.value = { kind: "ready", detail };
    } catch (thrown) {
      // What was loaded before is still the best that is known.
      if (loaded.peek().kind === "ready") return;
      const missing = thrown instanceof ApiFailure && thrown.status === 404;
      loaded.value = { kind: "failed", error: apiErrorOf(thrown), missing };
    }
  };
  useEffect(() => {
    loaded.value = { kind: "loading" };
    void load();
    return live.watchFleet((event) => {
      if (event.type !== "presence" || event.thing !== thing) return;
      const current = loaded.peek();
      if (current.kind === "ready") {
        loaded.value = { kind: "ready", detail: { ...current.detail, presence: event.presence } };
      }
    });
  }, [thing]);
  useJoins(() => void load());
  return { loaded, load };
}

function Missing({ thing }: { readonly thing: string }) {
  const { value } = useLoaded<ForgottenThings>(withQuery("api/retirements", { thing, limit: 1 }));
  const left = value.value?.things[0];
  return (
    <div class="page is-narrow">
      <ErrorState
        alone
        error={{
          code: "NOT_FOUND",
          message: `There is no thing named “${thing}”.`,
          fix:
            left === undefined
              ? "It may have been deleted, or the link has a typing error."
              : `It was retired on ${formatTime(left.requestedAt, "date")}; its data was ${left.data}.`,
        }}
      />
      <p class="centered">
        {left !== undefined && (
          <a class="button" href={hrefOf({ page: "retired" })}>
            Retired things
          </a>
        )}
        <a class="button" href="#/">
          Back to the fleet
        </a>
      </p>
    </div>
  );
}

function ActiveAlerts({ thing }: { readonly thing: string }) {
  const list = alertsOf(thing);
  if (list.length === 0) return null;
  return (
    <section class="thing-alerts" aria-label="Active alerts">
      <AlertList alerts={list} showThing={false} />
    </section>
  );
}

function Body({ feed }: { readonly feed: ThingFeed }) {
  const status = feed.status.value;
  const hasFields = feed.fields.value.length > 0;
  if (!hasFields) {
    if (status.kind === "failed") return <ErrorState error={status.error} />;
    if (status.kind === "loading") return <ChartSkeletons />;
    return (
      <section class="empty">
        <h2 class="empty-title">No readings yet</h2>
        <p>
          Charts appear by themselves as soon as this thing publishes JSON to <code>telemetry/{feed.thing}/…</code>
        </p>
      </section>
    );
  }
  return (
    <>
      {status.kind === "failed" && (
        <p class="inline-error" role="alert">
          {status.error.message} The charts show what was loaded before. {status.error.fix}
        </p>
      )}
      <Charts feed={feed} />
      <ValueTable feed={feed} />
    </>
  );
}

function ChartSkeletons() {
  return (
    <div class="charts" role="status" aria-label="Loading charts">
      {Array.from({ length: 6 }, (_, i) => (
        <div class="chart is-loading" key={i}>
          <Skeleton rows={1} label="Loading" />
        </div>
      ))}
    </div>
  );
}
