/** Where an alert goes: a tree of routes, each with matchers. The deepest that matches counts; then the next of its siblings only where it says `continue`. */
import type { EpochMs, Millis } from "../../base/mod.ts";
import { isWithin } from "./calendar.ts";
import type { TimeRange, Zones } from "./calendar.ts";
import { labelOf, matcherText, matches } from "./matchers.ts";
import type { Matcher } from "./matchers.ts";
import type { Alert } from "./model.ts";

export interface Escalation {
  /** After the first notification, as long as nobody has acknowledged. */
  readonly after: Millis;
  readonly contacts: readonly string[];
}

export interface Route {
  /** Its place in the tree: `0`, `0.2`, `0.2.1`. */
  readonly id: string;
  readonly matchers: readonly Matcher[];
  /** Names of contact points; empty: nobody is told. */
  readonly contacts: readonly string[];
  /** Alerts with the same of these go together; `id`: each alone. */
  readonly groupBy: readonly string[];
  readonly groupWait: Millis;
  readonly groupInterval: Millis;
  /** Null: never. */
  readonly repeatInterval: Millis | null;
  readonly escalate: readonly Escalation[];
  /** Nobody is told within one of these, or outside of all of those. */
  readonly mute: readonly TimeRange[];
  readonly only: readonly TimeRange[];
  readonly continues: boolean;
  readonly routes: readonly Route[];
}

export function routesOf(root: Route, alert: Alert): Route[] {
  if (!root.matchers.every((matcher) => matches(matcher, alert))) return [];
  const found: Route[] = [];
  for (const child of root.routes) {
    const below = routesOf(child, alert);
    found.push(...below);
    if (below.length > 0 && !child.continues) break;
  }
  return found.length > 0 ? found : [root];
}

/** Each alert goes alone. */
export function isPerAlert(route: Route): boolean {
  return route.groupBy.length === 1 && route.groupBy[0] === "id";
}

export function groupLabels(route: Route, alert: Alert): Record<string, string> {
  return Object.fromEntries(route.groupBy.map((name) => [name, labelOf(alert, name)]));
}

export function groupIdOf(route: Route, alert: Alert): string {
  return `${route.id}:${route.groupBy.map((name) => encodeURIComponent(labelOf(alert, name).toWellFormed())).join(",")}`;
}

/** Why the route tells nobody now; null: it does. */
export function mutedByTime(route: Route, now: EpochMs, zones: Zones): string | null {
  const within = route.mute.find((range) => isWithin(range, now, zones));
  if (within !== undefined) return `it is ${within.name}`;
  if (route.only.length === 0 || route.only.some((range) => isWithin(range, now, zones))) return null;
  return `it is not ${route.only.map(({ name }) => name).join(" or ")}`;
}

/** One route that was looked at, and why the alert takes it or not. */
export interface RouteStep {
  readonly route: string;
  readonly matchers: readonly string[];
  /** The first matcher that does not hold; null: all do. */
  readonly failed: string | null;
  readonly taken: boolean;
  readonly contacts: readonly string[];
}

/** Every route that was looked at, in order. */
export function explainRoutes(root: Route, alert: Alert): RouteStep[] {
  const taken = new Set(routesOf(root, alert));
  const steps: RouteStep[] = [];
  const look = (route: Route): boolean => {
    const failed = route.matchers.find((matcher) => !matches(matcher, alert));
    steps.push({
      route: route.id,
      matchers: route.matchers.map(matcherText),
      failed: failed === undefined ? null : matcherText(failed),
      taken: taken.has(route),
      contacts: route.contacts,
    });
    if (failed !== undefined) return false;
    for (const child of route.routes) if (look(child) && !child.continues) break;
    return true;
  };
  look(root);
  return steps;
}
