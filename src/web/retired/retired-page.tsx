/** `#/retired`: things that left for good: when, what became of their data, and whose the name is now. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ForgetReport, ForgottenThings } from "../../cloud/api/contract.ts";
import { call, withQuery } from "../api/client.ts";
import { may } from "../api/session.ts";
import { formatRecent, formatTime } from "../format/time.ts";
import { serverNow } from "../live/live.ts";
import { useLoaded } from "../people/loaded.ts";
import { Confirm } from "../people/parts.tsx";
import { IconTable } from "../shell/icons.tsx";
import { hrefOf } from "../shell/router.ts";
import { EmptyState, ErrorState, Skeleton } from "../shell/states.tsx";
import { pagesOf } from "./retired-pages.ts";
import { nameWords, removedWords, stateWords } from "./retired-words.ts";

const PATH = "api/retirements";
/** How often it is looked at again while something is under way. */
const PERIOD_MS = 3_000;
const PAGE_SIZE = 100;

export function RetiredPage() {
  const pages = useRef(1);
  const { value, error, load, change } = useLoaded<ForgottenThings>(PATH, (path) =>
    pagesOf(
      (before) => call<ForgottenThings>(withQuery(path, { before, limit: PAGE_SIZE })),
      () => pages.current,
    ),
  );
  const showOlder = (): void => {
    pages.current++;
    void load();
  };
  const things = value.value?.things ?? null;
  const busy = things?.some(({ state }) => state !== "done") === true;
  useEffect(() => {
    if (!busy) return undefined;
    const timer = setInterval(() => void load(), PERIOD_MS);
    return () => clearInterval(timer);
  }, [busy]);
  const freeName = (name: string): void =>
    void change(() => call(`api/blocked-names/${encodeURIComponent(name)}`, { method: "DELETE" }));
  return (
    <div class="page">
      <nav class="crumbs" aria-label="Breadcrumb">
        <a href="#/">Fleet</a>
        <span aria-hidden="true">/</span>
        <span aria-current="page">Retired</span>
      </nav>
      <header class="page-head">
        <h1>Retired things</h1>
      </header>
      {error.value !== null && things !== null && (
        <p class="inline-error" role="alert">
          <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
      {things !== null ? (
        <List things={things} freeName={freeName} showOlder={value.value?.next === null ? null : showOlder} />
      ) : error.value === null ? (
        <Skeleton rows={4} label="Loading retired things" />
      ) : (
        <ErrorState error={error.value} onRetry={() => void load()} />
      )}
    </div>
  );
}

interface ListProps {
  readonly things: readonly ForgetReport[];
  readonly freeName: (name: string) => void;
  /** Null: there are none. */
  readonly showOlder: (() => void) | null;
}

function List({ things, freeName, showOlder }: ListProps) {
  if (things.length === 0) {
    return (
      <EmptyState icon={<IconTable />} title="No thing was retired">
        <p>
          A device that is gone for good is retired at the end of its page: nothing that it had lets anybody in any
          more.
        </p>
      </EmptyState>
    );
  }
  return (
    <>
      <div class="table-frame">
        <table class="people-table">
          <thead>
            <tr>
              <th scope="col">Thing</th>
              <th scope="col">Retired</th>
              <th scope="col">Data</th>
              <th scope="col">Name</th>
              <th scope="col">State</th>
              <th scope="col">
                <span class="sr-only">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {things.map((report, i) => (
              <Row
                key={report.id}
                report={report}
                // Of a name that was given twice, the newest row frees it.
                freeName={things.findIndex(({ thing }) => thing === report.thing) === i ? freeName : null}
              />
            ))}
          </tbody>
        </table>
      </div>
      {showOlder !== null && (
        <p class="centered">
          <button type="button" class="button" onClick={showOlder}>
            Show older ones
          </button>
        </p>
      )}
    </>
  );
}

interface RowProps {
  readonly report: ForgetReport;
  readonly freeName: ((name: string) => void) | null;
}

function Row({ report, freeName }: RowProps) {
  const { thing, requestedAt, data, name } = report;
  return (
    <tr data-retired={thing}>
      <td data-label="Thing">{thing}</td>
      <td data-label="Retired" title={formatTime(requestedAt)}>
        {formatRecent(requestedAt, serverNow.value)}
      </td>
      <td data-label="Data">{data}</td>
      <td data-label="Name">
        {name === "taken" ? (
          <a href={hrefOf({ page: "thing", thing, range: null })}>{nameWords(name)}</a>
        ) : (
          nameWords(name)
        )}
      </td>
      <td data-label="State">
        <Report report={report} />
      </td>
      <td>
        {name === "blocked" && freeName !== null && may("certificates:write") && (
          <Confirm label="Free the name" sure="Free it now" about={thing} onConfirm={() => freeName(thing)} />
        )}
      </td>
    </tr>
  );
}

/** What was removed, and what is left of it elsewhere. */
function Report({ report }: { readonly report: ForgetReport }) {
  const removed = removedWords(report.removed);
  return (
    <details class="retired-report">
      <summary>{stateWords(report)}</summary>
      <p>Removed: {removed.length === 0 ? "nothing, there was nothing" : removed.join(", ")}.</p>
      {report.remains.map(({ where, detail, until }) => (
        <p key={where}>
          Stays in {where}: {detail}
          {until !== null && `, until ${formatTime(until, "date")} at the latest`}.
        </p>
      ))}
      {report.data === "erased" && may("telemetry:erase") && <Copies id={report.id} />}
    </details>
  );
}

/** Copies that only a person can remove are looked for when somebody asks. */
function Copies({ id }: { readonly id: number }) {
  const open = useSignal(false);
  if (open.value) return <FoundCopies id={id} />;
  return (
    <button type="button" class="link" onClick={() => (open.value = true)}>
      Look for it in backups
    </button>
  );
}

function FoundCopies({ id }: { readonly id: number }) {
  const { value, error } = useLoaded<ForgetReport>(`api/forgotten/${id}`);
  if (error.value !== null) return <p role="alert">{error.value.message}</p>;
  if (value.value === null) return <p role="status">Looking …</p>;
  const copies = value.value.remains.filter(({ names }) => names.length > 0);
  if (copies.length === 0) return <p role="status">No backup that is known here holds it.</p>;
  return (
    <>
      {copies.map(({ where, detail, names }) => (
        <p key={where}>
          Stays in {where}: {detail}. {names.join(", ")}
        </p>
      ))}
    </>
  );
}
