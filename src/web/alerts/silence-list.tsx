/** Who is not told of what, until when, and who decided so. */
import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Alert, ApiError, Silence, SilenceList } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";
import { may } from "../api/session.ts";
import { formatRecent, formatRemaining, formatTime } from "../format/time.ts";
import { serverNow } from "../live/live.ts";
import { useJoins } from "../live/use-joins.ts";
import { formText } from "../people/form-text.ts";
import { Confirm, Form } from "../people/parts.tsx";
import { IconBell } from "../shell/icons.tsx";
import { EmptyState, ErrorState, Skeleton } from "../shell/states.tsx";
import { inOrder, matchersIn, phaseOf } from "./silence-words.ts";
import type { SilencePhase } from "./silence-words.ts";

const HOUR = 3_600_000;
const SILENCE_SPAN = 2 * HOUR;

const silences = signal<readonly Silence[] | null>(null);
const failure = signal<ApiError | null>(null);

async function load(): Promise<void> {
  try {
    silences.value = (await call<SilenceList>("api/alert-silences")).silences;
    failure.value = null;
  } catch (thrown) {
    failure.value = apiErrorOf(thrown);
  }
}

/** Throws `ApiFailure`. */
async function add(matchers: readonly string[], span: number, comment: string): Promise<void> {
  const body = { matchers, endsAt: Math.round(serverNow.peek() + span), comment };
  await call<Silence>("api/alert-silences", { method: "POST", body });
}

/** Nobody is told of this rule on this thing for two hours. Throws `ApiFailure`. */
export async function silenceAlert({ rule, thing }: Alert): Promise<void> {
  await add([`rule=${rule}`, `thing=${thing}`], SILENCE_SPAN, "from the dashboard");
}

export function SilencesTab() {
  useEffect(() => void load(), []);
  useJoins(() => void load());
  const found = silences.value;
  if (found === null) {
    if (failure.value !== null) return <ErrorState error={failure.value} onRetry={() => void load()} />;
    return <Skeleton rows={3} label="Loading silences" />;
  }
  const now = serverNow.value;
  const sorted = inOrder(found, now);
  const over = sorted.filter((one) => phaseOf(one, now) === "over");
  const current = sorted.filter((one) => phaseOf(one, now) !== "over");
  return (
    <>
      {failure.value !== null && (
        <p class="inline-error" role="alert">
          <strong>{failure.value.message}</strong> {failure.value.fix}
        </p>
      )}
      {current.length === 0 ? (
        <EmptyState icon={<IconBell />} title="Nothing is silenced">
          <p>Nobody is told of an alert that is silenced. It stays in the list.</p>
        </EmptyState>
      ) : (
        <SilenceRows silences={current} now={now} />
      )}
      {may("alerts:write") && <NewSilence />}
      {over.length > 0 && (
        <details class="silences-over">
          <summary>Over ({over.length})</summary>
          <SilenceRows silences={over} now={now} />
        </details>
      )}
    </>
  );
}

function SilenceRows({ silences: rows, now }: { readonly silences: readonly Silence[]; readonly now: number }) {
  return (
    <ul class="alert-list">
      {rows.map((silence) => (
        <SilenceRow key={silence.id} silence={silence} now={now} />
      ))}
    </ul>
  );
}

const PHASE_WORDS: Readonly<Record<SilencePhase, string>> = { now: "Silenced", later: "Planned", over: "Over" };

function SilenceRow({ silence, now }: { readonly silence: Silence; readonly now: number }) {
  const { id, matchers, startsAt, endsAt, createdBy, comment } = silence;
  const error = useSignal<ApiError | null>(null);
  const phase = phaseOf(silence, now);
  const end = async (): Promise<void> => {
    try {
      await call<Silence>(`api/alert-silences/${encodeURIComponent(id)}`, { method: "DELETE" });
      error.value = null;
      await load();
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
    }
  };
  return (
    <li class={`alert silence ${phase === "over" ? "is-resolved" : "is-info"}`} data-silence={id}>
      <span class={phase === "over" ? "severity" : "severity is-info"}>{PHASE_WORDS[phase]}</span>
      <div class="alert-text">
        <p class="silence-matchers">
          {matchers.map((matcher) => (
            <code key={matcher}>{matcher}</code>
          ))}
        </p>
        <p class="alert-facts">
          {phase === "later" && (
            <span title={formatTime(startsAt)}>begins {formatRemaining(Math.max(0, startsAt - now))}</span>
          )}
          <span title={formatTime(endsAt)}>
            {phase === "over" ? "ended" : "ends"} {formatRemaining(endsAt - now)}
            {phase !== "over" && `, ${formatRecent(endsAt, now)}`}
          </span>
          <span>by {createdBy}</span>
          {comment !== "" && <span>{comment}</span>}
        </p>
        {error.value !== null && (
          <p class="alert-error" role="alert">
            {error.value.message} {error.value.fix}
          </p>
        )}
      </div>
      {phase !== "over" && may("alerts:write") && (
        <div class="alert-action">
          <Confirm label="End" about={matchers.join(", ")} sure="End now" onConfirm={() => void end()} />
        </div>
      )}
    </li>
  );
}

const SPANS: readonly (readonly [hours: number, label: string])[] = [
  [1, "1 hour"],
  [2, "2 hours"],
  [8, "8 hours"],
  [24, "a day"],
  [168, "a week"],
];

function NewSilence() {
  const submit = async (data: FormData): Promise<boolean> => {
    const span = Number(data.get("hours")) * HOUR;
    await add(matchersIn(formText(data, "matchers")), span, formText(data, "comment").trim());
    await load();
    return true;
  };
  return (
    <details class="people-new">
      <summary>New silence</summary>
      <p class="muted">
        All lines must hold: <code>rule=cpu_*</code>, <code>thing=pump-1|pump-2</code>, <code>severity!=critical</code>.
      </p>
      <Form label="Silence" submit={submit}>
        <label class="silence-field">
          Alerts, one condition a line
          <textarea
            class="code-area"
            name="matchers"
            rows={3}
            required
            spellcheck={false}
            autocapitalize="off"
            placeholder="thing=pump-*"
          />
        </label>
        <label>
          For
          <select name="hours">
            {SPANS.map(([hours, label]) => (
              <option key={hours} value={hours} selected={hours === 2}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <label>
          Why
          <input name="comment" maxLength={2000} autocomplete="off" />
        </label>
      </Form>
    </details>
  );
}
