/** The bar at the top of every page. */
import { useComputed } from "@preact/signals";
import { activeCount } from "../alerts/alert-store.ts";
import { may } from "../api/session.ts";
import { plural } from "../format/labels.ts";
import { live } from "../live/live.ts";
import { Wordmark } from "./icons.tsx";
import { Menu } from "./menu.tsx";
import { route } from "./router.ts";

/** Below the fleet. */
const FLEET_PAGES: ReadonlySet<string> = new Set(["thing", "retired"]);
/** Below the list of rules. */
const RULE_PAGES: ReadonlySet<string> = new Set(["rule", "new-rule", "dead-letters"]);

export function Header() {
  const page = route.value.page;
  return (
    <header class="top">
      <a class="skip" href="#main" onClick={skipToMain}>
        Skip to the content
      </a>
      <a class="home" href="#/" aria-label="Tidewire, fleet">
        <Wordmark />
      </a>
      <nav class="top-nav" aria-label="Main">
        <a href="#/" aria-current={page === "fleet" ? "page" : FLEET_PAGES.has(page) ? "true" : undefined}>
          Fleet
        </a>
        <a href="#/alerts" aria-current={page === "alerts" || page === "alert" ? "page" : undefined}>
          Alerts
          <AlertBadge />
        </a>
        {may("rules:read") && (
          <a href="#/rules" aria-current={page === "rules" ? "page" : RULE_PAGES.has(page) ? "true" : undefined}>
            Rules
          </a>
        )}
      </nav>
      <ConnectionMark />
      <Menu />
    </header>
  );
}

/** The fragment is the address of the page, so the skip link moves the focus itself. */
function skipToMain(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function AlertBadge() {
  const count = activeCount.value;
  if (count === 0) return null;
  return (
    <span class="badge">
      {count > 99 ? "99+" : count}
      <span class="sr-only">{` ${plural(count, "active alert")}`}</span>
    </span>
  );
}

/** Whether what is on the page is live: always in the same place. */
function ConnectionMark() {
  const text = useComputed(() => {
    const { kind } = live.state.value;
    return kind === "open"
      ? "Live"
      : kind === "connecting"
        ? "Connecting"
        : kind === "offline"
          ? "Offline"
          : "Not live";
  });
  return (
    <p class={`connection is-${live.state.value.kind}`} data-connection={live.state.value.kind}>
      <span class="connection-mark" />
      <span class="connection-word">{text}</span>
    </p>
  );
}
