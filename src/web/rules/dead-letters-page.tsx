/** `#/dead-letters`: what rules and alerts could not deliver: why, to whom, and what to do with it. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ApiError, DeadLetterHead, DeadLetterPage, DeadLetterReceivers } from "../../cloud/api/contract.ts";
import { apiErrorOf, call, withQuery } from "../api/client.ts";
import { may } from "../api/session.ts";
import { plural } from "../format/labels.ts";
import { useLoaded } from "../people/loaded.ts";
import { Confirm } from "../people/parts.tsx";
import { IconCheckCircle } from "../shell/icons.tsx";
import { hrefOf } from "../shell/router.ts";
import { EmptyState, ErrorState, Skeleton } from "../shell/states.tsx";
import { DeadLetterRow } from "./dead-letter-row.tsx";
import { RuleTabs } from "./rule-tabs.tsx";

const PAGE_SIZE = 50;

export interface DeadLettersPageProps {
  readonly receiver: string | null;
  readonly rule: string | null;
}

export function DeadLettersPage({ receiver, rule }: DeadLettersPageProps) {
  const changes = useSignal(0);
  return (
    <div class="page">
      <header class="page-head">
        <h1>Dead letters</h1>
      </header>
      <RuleTabs at="dead-letters" changes={changes.value} />
      <Letters
        key={`${receiver ?? ""} ${rule ?? ""}`}
        receiver={receiver}
        rule={rule}
        onChange={() => void changes.value++}
      />
    </div>
  );
}

interface LettersProps extends DeadLettersPageProps {
  readonly onChange: () => void;
}

function Letters({ receiver, rule, onChange }: LettersProps) {
  const receivers = useLoaded<DeadLetterReceivers>("api/dead-letters/receivers");
  const letters = useSignal<readonly DeadLetterHead[] | null>(null);
  const next = useSignal<number | null>(null);
  const error = useSignal<ApiError | null>(null);
  const load = async (before: number | null): Promise<void> => {
    try {
      const page = await call<DeadLetterPage>(
        withQuery("api/dead-letters", { receiver, rule, before, limit: PAGE_SIZE }),
      );
      letters.value = before === null ? page.letters : [...(letters.peek() ?? []), ...page.letters];
      next.value = page.next;
      error.value = null;
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
    }
  };
  useEffect(() => void load(null), []);
  const changed = async (): Promise<void> => {
    await Promise.all([load(null), receivers.load()]);
    onChange();
  };
  const found = letters.value;
  if (found === null) {
    return error.value === null ? (
      <Skeleton rows={4} label="Loading dead letters" />
    ) : (
      <ErrorState error={error.value} onRetry={() => void load(null)} />
    );
  }
  const groups = receivers.value.value?.receivers ?? [];
  return (
    <>
      <Filters groups={groups} receiver={receiver} rule={rule} />
      {error.value !== null && (
        <p class="inline-error" role="alert">
          <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
      {found.length === 0 ? (
        <EmptyState icon={<IconCheckCircle />} title="Nothing was given up">
          <p>
            What a receiver refuses for good, or does not take for a day, is kept here, to be corrected and sent again.
          </p>
        </EmptyState>
      ) : (
        <>
          {may("rules:write") && <Bulk receiver={receiver} rule={rule} groups={groups} onDone={() => void changed()} />}
          <ul class="letter-list">
            {found.map((letter) => (
              <DeadLetterRow key={letter.number} letter={letter} onDone={() => void changed()} />
            ))}
          </ul>
          {next.value !== null && (
            <p class="rules-more">
              <button type="button" class="button" onClick={() => void load(next.value)}>
                Show older ones
              </button>
            </p>
          )}
        </>
      )}
    </>
  );
}

type Groups = DeadLetterReceivers["receivers"];

function Filters({ groups, receiver, rule }: DeadLettersPageProps & { readonly groups: Groups }) {
  if (groups.length === 0 && receiver === null && rule === null) return null;
  const all = receiver === null && rule === null;
  return (
    <nav class="letter-filters" aria-label="Receivers">
      <a
        class="chip"
        href={hrefOf({ page: "dead-letters", receiver: null, rule: null })}
        aria-current={all ? "true" : undefined}
      >
        All
      </a>
      {rule !== null && (
        <a class="chip" href={hrefOf({ page: "dead-letters", receiver, rule })} aria-current="true">
          of {rule}
        </a>
      )}
      {groups.map((group) => (
        <a
          key={group.receiver}
          class="chip"
          href={hrefOf({ page: "dead-letters", receiver: group.receiver, rule: null })}
          aria-current={group.receiver === receiver ? "true" : undefined}
        >
          {group.label === "" ? group.receiver : group.label}
          <span class="count">{group.count.toLocaleString("en")}</span>
        </a>
      ))}
    </nav>
  );
}

interface BulkProps extends DeadLettersPageProps {
  readonly groups: Groups;
  readonly onDone: () => void;
}

interface Told {
  readonly replayed?: number;
  readonly dropped?: number;
  readonly more: boolean;
}

/** All that is shown and all that is not, in steps: none of them holds up the platform. */
function Bulk({ receiver, rule, groups, onDone }: BulkProps) {
  const state = useSignal<string | null>(null);
  const busy = useSignal(false);
  const error = useSignal<ApiError | null>(null);
  // What dies again meanwhile is not sent again and again.
  const most = groups.reduce(
    (sum, group) => sum + (receiver === null || group.receiver === receiver ? group.count : 0),
    0,
  );
  const run = async (verb: "replay" | "drop"): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    error.value = null;
    const chosen = { ...(receiver === null ? {} : { receiver }), ...(rule === null ? {} : { rule }) };
    const body = Object.keys(chosen).length === 0 ? { all: true } : chosen;
    const words = verb === "replay" ? "being sent again" : "discarded";
    let done = 0;
    try {
      for (let more = true; more && done < most;) {
        const told = await call<Told>(`api/dead-letters/${verb}`, { method: "POST", body });
        done += told.replayed ?? told.dropped ?? 0;
        more = told.more;
        state.value = `${plural(done, "letter")} ${words}${more && done < most ? " …" : "."}`;
      }
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
    }
    busy.value = false;
    onDone();
  };
  const which = receiver === null && rule === null ? "all" : "all of these";
  return (
    <div class="letter-bulk">
      <Confirm
        label={`Send ${which} again`}
        about="dead letters"
        sure="Send now"
        onConfirm={() => void run("replay")}
      />
      <Confirm label={`Discard ${which}`} about="dead letters" sure="Discard now" onConfirm={() => void run("drop")} />
      <span class="muted" role="status">
        {state.value}
      </span>
      {error.value !== null && (
        <p class="inline-error" role="alert">
          <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
    </div>
  );
}
