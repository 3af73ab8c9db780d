/** Everything that changes what stretch of time is shown, for buttons, keys and drags alike. */
import type { EpochMs } from "../../base/mod.ts";
import { RANGES, zoomTo } from "../charts/ranges.ts";
import type { Range } from "../charts/ranges.ts";
import { acceptsShortcut } from "../shell/shortcut-keys.ts";
import type { ThingFeed } from "./thing-feed.ts";

export function chooseRange(feed: ThingFeed, range: Range): void {
  feed.setView({ kind: "follow", range });
}

export function zoom(feed: ThingFeed, from: EpochMs, to: EpochMs): void {
  feed.setView(zoomTo(feed.view.peek(), from, to));
}

/** Around the middle; while following, around the right edge, where the news is. */
export function scale(feed: ThingFeed, factor: number): void {
  const view = feed.view.peek();
  const { from, to } = feed.span();
  const half = ((to - from) / 2) * factor;
  const spanMax = RANGES.at(-1)!.span;
  if (half * 2 > spanMax) return;
  if (view.kind === "follow") feed.setView(zoomTo(view, to - 2 * half, to));
  else zoom(feed, (from + to) / 2 - half, (from + to) / 2 + half);
}

/** Moves by a part of the span; negative is earlier. */
export function pan(feed: ThingFeed, part: number): void {
  const { from, to } = feed.span();
  const by = (to - from) * part;
  zoom(feed, from + by, to + by);
}

/** Back to live at the chosen range. */
export function reset(feed: ThingFeed): void {
  const view = feed.view.peek();
  if (view.kind === "fixed") feed.setView({ kind: "follow", range: view.range });
}

export function toggleFollow(feed: ThingFeed): void {
  const view = feed.view.peek();
  if (view.kind === "fixed") return reset(feed);
  const { from, to } = feed.span();
  feed.setView({ kind: "fixed", range: view.range, from: Math.round(from), to: Math.round(to) });
}

/** Keys of the page as a whole; a focused chart has its own. */
export function rangeKeys(feed: ThingFeed): (event: KeyboardEvent) => void {
  return (event) => {
    if (
      event.key === "Escape" &&
      !event.defaultPrevented &&
      document.querySelector("dialog[open], :popover-open") === null
    ) {
      reset(feed);
      return;
    }
    if (!acceptsShortcut(event)) return;
    const range = /^[1-9]$/.test(event.key) ? RANGES[Number(event.key) - 1] : undefined;
    if (range !== undefined) chooseRange(feed, range);
    else if (event.key === "f") toggleFollow(feed);
    else if (event.key === "t") feed.tables.value = feed.tables.peek() === "all" ? new Set() : "all";
    else return;
    event.preventDefault();
  };
}
