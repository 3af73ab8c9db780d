/** What stands between the reader and the truth: the connection is lost, or a part of the platform is not well. */
import { useComputed } from "@preact/signals";
import { plural } from "../format/labels.ts";
import { formatAge } from "../format/time.ts";
import { live, serverNow } from "../live/live.ts";
import { health } from "./health.ts";
import { IconOffline, IconWarning } from "./icons.tsx";

/** From this attempt on the one before it has failed, too: it is not the connection alone. */
const UNANSWERED = 2;

export function Banner() {
  return (
    <>
      <ConnectionBanner />
      <HealthBanner />
    </>
  );
}

function ConnectionBanner() {
  const state = live.state.value;
  const good = live.goodAt.value;
  const attempt = state.kind === "connecting" || state.kind === "waiting" ? state.attempt : 0;
  // The first connect of a page is no news; neither is a moment's connecting after a short break.
  const lost = state.kind === "offline" || state.kind === "waiting" || (state.kind === "connecting" && attempt > 0);
  const what =
    state.kind === "offline"
      ? "This device has no network"
      : attempt < UNANSWERED
        ? "Live connection lost"
        : "The platform does not answer";
  return (
    <div role="status" class="banner-place">
      {lost && (
        <div class="banner is-warning" data-banner="connection">
          <IconOffline />
          <p>
            <strong>{what}</strong>
            <Retry />
            {good !== null && (
              <span class="banner-age">
                values are from {formatAge(Math.max(0, serverNow.value - live.clock.now(good)))}
              </span>
            )}
          </p>
          {state.kind !== "connecting" && (
            <button type="button" class="button" onClick={() => live.input({ type: "retry-now" })}>
              Try now
            </button>
          )}
        </div>
      )}
    </div>
  );
}

/** "trying again in 4 s". Not announced each second: the region's first sentence is enough. */
function Retry() {
  const text = useComputed(() => {
    const state = live.state.value;
    if (state.kind === "offline") return "waiting for it to come back";
    if (state.kind !== "waiting") return "trying again now";
    const seconds = Math.max(1, Math.ceil((state.retryAt - (serverNow.value - live.clock.difference)) / 1000));
    return `trying again in ${seconds}\u00a0s`;
  });
  return <span aria-hidden="true">{text}</span>;
}

function HealthBanner() {
  const now = health.value;
  if (now === null || now.state === "ok") return null;
  const bad = now.parts.filter((part) => part.state !== "ok");
  return (
    <div class={`banner ${now.state === "failed" ? "is-critical" : "is-warning"}`} role="status" data-banner="health">
      <IconWarning />
      <p>
        <strong>
          {bad.length === 0
            ? "The platform is not well"
            : `${plural(bad.length, "part")} of the platform ${bad.length === 1 ? "is" : "are"} not well`}
        </strong>
        {bad.map((part) => (
          <span key={part.name}>
            {part.name}: {part.detail}
          </span>
        ))}
      </p>
    </div>
  );
}
