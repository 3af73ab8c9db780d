/** The page's one live connection, its ticking clock, and what they mean for the reader. */
import { computed, signal } from "@preact/signals";
import { apiUrl } from "../api/client.ts";
import { refreshSession } from "../api/session.ts";
import { LiveSocket } from "./live-socket.ts";

export const live = new LiveSocket({
  open: () => {
    const url = apiUrl("api/live");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return new WebSocket(url);
  },
  now: () => Date.now(),
  random: () => Math.random(),
  checkSession: () => void refreshSession(),
});

/** Server's time, once per second: everything that shows an age reads it. */
export const serverNow = signal(Date.now());

/** True while values on the page are live; false as soon as they can be stale. */
export const isLive = computed(() => live.state.value.kind === "open");

/** True where the page was live before and is not now: values keep standing, with their age. */
export const isStale = computed(() => !isLive.value && live.goodAt.value !== null);

const tick = (): void => {
  serverNow.value = live.serverNow();
};

export function startLive(): void {
  live.start();
}

export function stopLive(): void {
  live.stop();
}

/** Sets up what the browser tells: once per page. */
export function listenToBrowser(): void {
  tick();
  setInterval(tick, 1000);
  addEventListener("online", () => live.input({ type: "network-up" }));
  addEventListener("offline", () => live.input({ type: "network-down" }));
  // A laptop that wakes up, a phone that shows the tab again: do not wait for the next retry.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible") return;
    tick();
    live.input({ type: "retry-now" });
    live.input({ type: "tick" });
  });
}
