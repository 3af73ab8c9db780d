/** Who is not told of what, until when, and who decided so. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Alert, ApiError, Silence, SilenceList } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";
import { may } from "../api/session.ts";
import { formatTime } from "../format/time.ts";
import { serverNow } from "../live/live.ts";
import { IconBell } from "../shell/icons.tsx";
import { EmptyState, ErrorState, Skeleton } from "../shell/states.tsx";

const SILENCE_SPAN = 2 * 3_600_000;

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

/** Nobody is told of this rule on this thing for two hours. Throws `ApiFailure`. */
export async function silenceAlert({ rule, thing }: Alert): Promise<void> {
  const body = {
    matchers: [`rule=${rule}`, `thing=${thing}`],
    endsAt: Math.round(serverNow.peek() + SILENCE_SPAN),
    comment: "from the dashboard",
  };
  await call<Silence>("api/alert-silences", { method: "POST", body });
}

async function end(id: string): Promise<void> {
  try {
    await call<Silence>(`api/alert-silences/${encodeURIComponent(id)}`, { method: "DELETE" });
  } catch (thrown) {
    failure.value = apiErrorOf(thrown);
  }
  await load();
}

export function SilencesTab() {
  useEffect(() => void load(), []);
  const found = silences.value;
  if (failure.value !== null) return <ErrorState error={failure.value} onRetry={() => void load()} />;
  if (found === null) return <Skeleton rows={3} label="Loading silences" />;
  if (found.length === 0) {
    return (
      <EmptyState icon={<IconBell />} title="Nothing is silenced">
        <p>Silence an alert, and nobody is told of it for two hours. It stays in the list.</p>
      </EmptyState>
    );
  }
  return (
    <ul class="alert-list">
      {found.map((silence) => (
        <SilenceRow key={silence.id} silence={silence} />
      ))}
    </ul>
  );
}

function SilenceRow({ silence }: { readonly silence: Silence }) {
  const { id, matchers, endsAt, createdBy, comment } = silence;
  const over = serverNow.value >= endsAt;
  return (
    <li class={`alert ${over ? "is-resolved" : "is-info"}`} data-silence={id}>
      <div class="alert-text">
        <p class="alert-summary">{matchers.join("  ")}</p>
        <p class="alert-facts">
          <span>
            {over ? "over since" : "until"} {formatTime(endsAt)}
          </span>
          <span>{createdBy}</span>
          {comment !== "" && <span>{comment}</span>}
        </p>
      </div>
      {!over && may("alerts:write") && (
        <div class="alert-action">
          <button
            type="button"
            class="button"
            aria-label={`End the silence of ${matchers.join(", ")}`}
            onClick={() => void end(id)}
          >
            End
          </button>
        </div>
      )}
    </li>
  );
}
