/** The feed of the thing on the page, for the debug hook. */
import type { ThingFeed } from "./thing-feed.ts";

let current: ThingFeed | null = null;

export function setCurrentFeed(feed: ThingFeed): () => void {
  current = feed;
  return () => {
    if (current === feed) current = null;
  };
}

export function currentFeed(): ThingFeed | null {
  return current;
}
