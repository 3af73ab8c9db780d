/** Chooses the stretch of time; sticks to the top while the charts scroll. */
import { formatTime, zoneName } from "../format/time.ts";
import { formatDuration } from "../format/units.ts";
import { RANGES } from "../charts/ranges.ts";
import { isLive, serverNow } from "../live/live.ts";
import { IconLeft, IconMinus, IconPause, IconPlay, IconPlus, IconRight } from "../shell/icons.tsx";
import type { ThingFeed } from "./thing-feed.ts";
import { chooseRange, pan, scale, toggleFollow } from "./view-actions.ts";

export function RangeBar({ feed }: { readonly feed: ThingFeed }) {
  const view = feed.view.value;
  const following = view.kind === "follow";
  return (
    <div class="range-bar" role="toolbar" aria-label="Time range">
      <div class="segments" role="group" aria-label="Range">
        {RANGES.map((range, i) => (
          <button
            type="button"
            key={range.name}
            aria-pressed={following && view.range.name === range.name}
            aria-label={`Last ${range.words}`}
            title={`Last ${range.words} (${i + 1})`}
            onClick={() => chooseRange(feed, range)}
          >
            {range.label}
          </button>
        ))}
      </div>
      <FollowButton feed={feed} />
      <div class="segments is-icons" role="group" aria-label="Move and zoom">
        <button type="button" aria-label="Earlier" title="Earlier" onClick={() => pan(feed, -0.5)}>
          <IconLeft />
        </button>
        <button type="button" aria-label="Later" title="Later" disabled={following} onClick={() => pan(feed, 0.5)}>
          <IconRight />
        </button>
        <button type="button" aria-label="Zoom in" title="Zoom in (+)" onClick={() => scale(feed, 0.5)}>
          <IconPlus />
        </button>
        <button type="button" aria-label="Zoom out" title="Zoom out (-)" onClick={() => scale(feed, 2)}>
          <IconMinus />
        </button>
      </div>
      <RangeNote feed={feed} />
    </div>
  );
}

/** Live only where the page follows and the connection is there. */
function FollowButton({ feed }: { readonly feed: ThingFeed }) {
  const following = feed.view.value.kind === "follow";
  const flowing = following && isLive.value;
  return (
    <button
      type="button"
      class={`follow${flowing ? " is-live" : ""}`}
      aria-pressed={following}
      title={following ? "Pause (f)" : "Follow live (f)"}
      onClick={() => toggleFollow(feed)}
    >
      {following ? <IconPause /> : <IconPlay />}
      {following ? (flowing ? "Live" : "Not live") : "Go live"}
    </button>
  );
}

/** What exactly is drawn, and in which zone its times are. */
function RangeNote({ feed }: { readonly feed: ThingFeed }) {
  const view = feed.view.value;
  const window = feed.window.value;
  const loading = feed.status.value.kind === "loading";
  const detail =
    window === null ? "every reading" : `average per ${formatDuration(window)}, band from lowest to highest`;
  return (
    <p class="range-note" aria-busy={loading}>
      {view.kind === "fixed" && (
        <span class="range-fixed">
          {formatTime(view.from)} – {formatTime(view.to)}
        </span>
      )}
      <span>{loading ? "Loading…" : detail}</span>
      <span>{zoneName(serverNow.peek())}</span>
    </p>
  );
}
