/** Which page is shown, and what runs while somebody is logged in. */
import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { activeCount, loadActiveAlerts, receiveAlert } from "../alerts/alert-store.ts";
import { AlertPage } from "../alerts/alert-page.tsx";
import { AlertsPage } from "../alerts/alerts-page.tsx";
import { session } from "../api/session.ts";
import { FleetPage } from "../fleet/fleet-page.tsx";
import { live, startLive, stopLive } from "../live/live.ts";
import { useJoins } from "../live/use-joins.ts";
import { LoginPage } from "../login/login-page.tsx";
import { AccountPage } from "../people/account-page.tsx";
import { PeoplePage } from "../people/people-page.tsx";
import { RetiredPage } from "../retired/retired-page.tsx";
import { DeadLettersPage } from "../rules/dead-letters-page.tsx";
import { NewRulePage } from "../rules/new-rule-page.tsx";
import { RulePage } from "../rules/rule-page.tsx";
import { RulesPage } from "../rules/rules-page.tsx";
import { ThingPage } from "../thing/thing-page.tsx";
import { Banner } from "./banner.tsx";
import { Header } from "./header.tsx";
import { loadHealth, watchHealth } from "./health.ts";
import { route } from "./router.ts";
import type { Route } from "./router.ts";
import { ShortcutsDialog, listenToShortcuts } from "./shortcuts.tsx";
import { ErrorState } from "./states.tsx";

export function App() {
  const { kind } = session.value;
  useTitle();
  if (kind === "unknown") return <main id="main" class="starting" aria-busy="true" aria-label="Loading" />;
  if (kind === "none") return <LoginPage />;
  if (kind === "unreachable") return <Unreachable />;
  return <LoggedIn />;
}

function Unreachable() {
  const current = session.value;
  if (current.kind !== "unreachable") return null;
  return (
    <main id="main" class="starting">
      <ErrorState alone error={current.error} />
    </main>
  );
}

function LoggedIn() {
  useEffect(() => {
    startLive();
    void loadActiveAlerts();
    const stops = [live.watchFleet(receiveAlert), watchHealth(), listenToShortcuts()];
    return () => {
      for (const stop of stops) stop();
      stopLive();
    };
  }, []);
  useJoins(() => {
    void loadActiveAlerts();
    void loadHealth();
  });
  return (
    <>
      <Header />
      <Banner />
      <main id="main" tabIndex={-1}>
        <Page />
      </main>
      <ShortcutsDialog />
    </>
  );
}

function Page() {
  const current = route.value;
  const key = keyOf(current);
  useNewPage(key);
  switch (current.page) {
    case "fleet":
      return <FleetPage />;
    case "thing":
      return <ThingPage key={key} thing={current.thing} rangeName={current.range} span={current.span ?? null} />;
    case "alert":
      return <AlertPage key={key} id={current.id} />;
    case "alerts":
      return <AlertsPage tab={current.tab} />;
    case "rules":
      return <RulesPage search={current.search} />;
    case "rule":
      return <RulePage key={key} name={current.name} />;
    case "new-rule":
      return <NewRulePage />;
    case "dead-letters":
      return <DeadLettersPage receiver={current.receiver} rule={current.rule} />;
    case "retired":
      return <RetiredPage />;
    case "people":
      return <PeoplePage />;
    case "account":
      return <AccountPage />;
    case "unknown":
      break;
  }
  return <NoSuchPage />;
}

function keyOf(current: Route): string {
  if (current.page === "thing") return `thing ${current.thing}`;
  if (current.page === "alert") return `alert ${current.id}`;
  return current.page === "rule" ? `rule ${current.name}` : current.page;
}

/** A new page begins at its top, and a screen reader begins with it. */
function useNewPage(key: string): void {
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) {
      scrollTo(0, 0);
      document.getElementById("main")?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [key]);
}

function NoSuchPage() {
  return (
    <div class="page is-narrow">
      <ErrorState
        alone
        error={{ code: "NOT_FOUND", message: "There is no such page.", fix: "Check the address, or go to the fleet." }}
      />
      <p class="centered">
        <a class="button" href="#/">
          To the fleet
        </a>
      </p>
    </div>
  );
}

function useTitle(): void {
  useSignalEffect(() => {
    const loggedIn = session.value.kind === "active";
    const count = loggedIn ? activeCount.value : 0;
    const name = loggedIn ? titleOf(route.value) : "Log in";
    document.title = `${count > 0 ? `(${count}) ` : ""}${name} · Tidewire`;
  });
}

function titleOf(current: Route): string {
  switch (current.page) {
    case "fleet":
      return "Fleet";
    case "thing":
      return current.thing;
    case "alerts":
      return "Alerts";
    case "alert":
      return "Alert";
    case "rules":
      return "Rules";
    case "rule":
      return current.name;
    case "new-rule":
      return "New rule";
    case "dead-letters":
      return "Dead letters";
    case "retired":
      return "Retired things";
    case "people":
      return "People";
    case "account":
      return "Account";
    case "unknown":
      break;
  }
  return "Not found";
}
