/** `#/`: is everything normal? Then all things, with what they say about themselves. */
import { useComputed, useSignalEffect } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { FleetEntry } from "../../cloud/api/contract.ts";
import { activeCount, alerts } from "../alerts/alert-store.ts";
import { AtTheDoor } from "../door/at-the-door.tsx";
import { plural } from "../format/labels.ts";
import { live } from "../live/live.ts";
import { useJoins } from "../live/use-joins.ts";
import { IconCheckCircle, IconLeft, IconRight, IconSearch, IconWarning, Mark } from "../shell/icons.tsx";
import { Stat } from "../shell/stat.tsx";
import { Command, EmptyState, ErrorState, Skeleton } from "../shell/states.tsx";
import { hrefOf, replaceRoute, route } from "../shell/router.ts";
import { FleetRow } from "./fleet-row.tsx";
import { FLEET_PAGE_SIZE, FleetStore } from "./fleet-store.ts";
import type { Totals } from "./fleet-store.ts";
import { headlineColumns } from "./headline.ts";
import type { HeadlineColumn } from "./headline.ts";
import { SparkStore } from "./spark-store.ts";

const SEARCH_DELAY_MS = 200;
export const ADD_COMMAND = "npx tidewire things add my-device --out my-device";

export function FleetPage() {
  const store = useMemo(() => new FleetStore(), []);
  const sparks = useMemo(() => new SparkStore(), []);
  const searched = useRef<string | null>(null);
  const columns = useComputed(() => headlineColumns(store.rows.value.map((row) => row.peek())));
  useEffect(() => {
    const stop = live.watchFleet((event) => {
      store.receive(event);
      if (event.type !== "headline") return;
      const column = columns.peek()[0];
      const value = event.headline.find((v) => v.measurement === column?.measurement && v.field === column.field);
      if (column !== undefined && value !== undefined) sparks.add(event.thing, column, value);
    });
    return () => {
      stop();
      store.stop();
      sparks.stop();
    };
  }, [store, sparks]);
  // Also a link to another search, while this page is there, and the way back.
  useSignalEffect(() => {
    const { value } = route;
    if (value.page === "fleet" && value.search !== searched.current) {
      searched.current = value.search;
      store.setSearch(value.search);
    }
  });
  useJoins(() => void store.load());
  return (
    <div class="page">
      <header class="page-head">
        <h1>Fleet</h1>
        <SearchBox store={store} />
      </header>
      <Verdict store={store} />
      <AtTheDoor thing={null} />
      <Body store={store} sparks={sparks} columns={columns} />
      <p class="retired-link">
        <a class="link" href={hrefOf({ page: "retired" })}>
          Retired things
        </a>
      </p>
    </div>
  );
}

/** One sentence that answers the question, and the numbers behind it. */
function Verdict({ store }: { readonly store: FleetStore }) {
  const totals = store.totals.value;
  if (totals === null)
    return store.status.value.kind === "failed" ? null : <div class="verdict is-loading" aria-hidden="true" />;
  if (totals.total === 0) return null;
  const alertsNow = activeCount.value;
  const good = totals.online === totals.total && alertsNow === 0;
  return (
    <section class={good ? "verdict is-good" : "verdict is-attention"} aria-label="Summary">
      <p class="verdict-sentence" role="status">
        {good ? <IconCheckCircle /> : <IconWarning />}
        {verdictSentence(totals, alertsNow)}
      </p>
      <dl class="stats">
        <Stat label="Things" value={totals.total} />
        <Stat label="Online" value={totals.online} />
        <Stat label="Not online" value={totals.total - totals.online} />
        <Stat label="Active alerts" value={alertsNow} />
      </dl>
    </section>
  );
}

export function verdictSentence({ total, online }: Totals, alertsNow: number): string {
  const away = total - online;
  if (away === 0 && alertsNow === 0)
    return total === 1 ? "The thing is online, no active alerts." : "Everything is online, no active alerts.";
  const parts: string[] = [];
  if (away > 0) parts.push(`${plural(away, "thing")} ${away === 1 ? "is" : "are"} not online`);
  if (alertsNow > 0) parts.push(plural(alertsNow, "active alert"));
  return `${parts.join(", ")}.`;
}

const QUERY_HELP = `Words, or a query:
attributes.site:berlin AND connectivity.connected:false
thingName:pump* NOT thingGroupNames:cellar
shadow.reported.battery<20
attributes.floor:[1 TO 3]`;

function SearchBox({ store }: { readonly store: FleetStore }) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const onInput = (event: InputEvent): void => {
    const text = (event.currentTarget as HTMLInputElement).value.trim();
    clearTimeout(timer.current);
    timer.current = setTimeout(() => replaceRoute({ page: "fleet", search: text }), SEARCH_DELAY_MS);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  const input = useRef<HTMLInputElement>(null);
  useSignalEffect(() => {
    const { value: text } = store.search;
    // Not while somebody types: a blank at the end is the beginning of the next word.
    if (input.current !== null && input.current.value.trim() !== text) input.current.value = text;
  });
  return (
    <search class="search">
      <IconSearch />
      <input
        ref={input}
        type="search"
        id="search"
        placeholder="Search things"
        title={QUERY_HELP}
        aria-label="Search things by name, or by a query"
        aria-invalid={store.searchError.value !== null}
        aria-describedby="search-error"
        aria-keyshortcuts="/"
        autocomplete="off"
        spellcheck={false}
        defaultValue={store.search.peek()}
        onInput={onInput}
      />
      <kbd aria-hidden="true">/</kbd>
      <p id="search-error" class="search-error" role="status">
        {store.searchError.value}
      </p>
    </search>
  );
}

interface BodyProps {
  readonly store: FleetStore;
  readonly sparks: SparkStore;
  readonly columns: Signal<HeadlineColumn[]>;
}

function Body({ store, sparks, columns }: BodyProps) {
  const status = store.status.value;
  const rows = store.rows.value;
  if (status.kind === "failed" && rows.length === 0) {
    return <ErrorState error={status.error} onRetry={() => void store.load()} />;
  }
  if (status.kind === "loading") return <Skeleton rows={6} label="Loading things" />;
  if (rows.length === 0) return store.search.value === "" ? <FirstDevice /> : <NothingFound store={store} />;
  return (
    <>
      <FleetTable rows={rows} sparks={sparks} columns={columns.value} />
      <Pager store={store} shown={rows.length} />
      {store.totals.value?.total === 1 && (
        <p class="next-device">
          Add the next one: <Command text={ADD_COMMAND} />
        </p>
      )}
    </>
  );
}

function FleetTable(props: {
  readonly rows: readonly Signal<FleetEntry>[];
  readonly sparks: SparkStore;
  readonly columns: readonly HeadlineColumn[];
}) {
  const { rows, sparks, columns } = props;
  const byThing = useComputed(() => {
    const counts = new Map<string, number>();
    for (const { thing, state } of alerts.value.values()) {
      if (state === "active") counts.set(thing, (counts.get(thing) ?? 0) + 1);
    }
    return counts;
  });
  return (
    <div class="table-frame">
      <table class="fleet" onKeyDown={moveBetweenRows}>
        <thead>
          <tr>
            <th scope="col">Thing</th>
            <th scope="col">Status</th>
            <th scope="col">Last seen</th>
            {columns.map((column, i) => (
              <th scope="col" class="is-number" key={column.field} colSpan={i === 0 ? 2 : 1}>
                {column.label}
              </th>
            ))}
            <th scope="col" class="is-number">
              Alerts
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <FleetRow key={row.peek().thingName} row={row} columns={columns} sparks={sparks} alertCounts={byThing} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Up and down go from thing to thing. */
function moveBetweenRows(event: KeyboardEvent): void {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const table = event.currentTarget as HTMLElement;
  const links = [...table.querySelectorAll<HTMLElement>("a.thing-link")];
  const at = links.indexOf(document.activeElement as HTMLElement);
  const next = links[at + (event.key === "ArrowDown" ? 1 : -1)];
  if (at < 0 || next === undefined) return;
  event.preventDefault();
  next.focus();
}

function Pager({ store, shown }: { readonly store: FleetStore; readonly shown: number }) {
  const page = store.pageIndex.value;
  if (page === 0 && !store.hasNext.value) return null;
  const first = page * FLEET_PAGE_SIZE + 1;
  return (
    <nav class="pager" aria-label="Pages">
      <p>
        {first.toLocaleString("en")}–{(first + shown - 1).toLocaleString("en")} of{" "}
        {store.found.value.toLocaleString("en")}
      </p>
      <button type="button" class="button" disabled={page === 0} onClick={() => store.previousPage()}>
        <IconLeft />
        Previous
      </button>
      <button type="button" class="button" disabled={!store.hasNext.value} onClick={() => store.nextPage()}>
        Next
        <IconRight />
      </button>
    </nav>
  );
}

function FirstDevice() {
  return (
    <EmptyState icon={<Mark />} title="Add your first device">
      <p>
        One command, on the platform's machine, registers it, makes its key and certificate, and says how to start it.
      </p>
      <Command text={ADD_COMMAND} />
      <p class="muted">It appears here by itself as soon as it connects.</p>
    </EmptyState>
  );
}

function NothingFound({ store }: { readonly store: FleetStore }) {
  return (
    <EmptyState icon={<IconSearch />} title={`No thing matches “${store.search.value}”`}>
      <button
        type="button"
        class="button"
        onClick={() => {
          replaceRoute({ page: "fleet", search: "" });
          document.getElementById("search")?.focus();
        }}
      >
        Clear the search
      </button>
    </EmptyState>
  );
}
