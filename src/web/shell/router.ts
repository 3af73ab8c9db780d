/** The address after `#` and what it shows. The server never sees it, so every path works behind any proxy. */
import { signal } from "@preact/signals";
import type { EpochMs } from "../../base/mod.ts";

export type AlertsTab = "active" | "history" | "silences";

export interface TimeSpan {
  readonly from: EpochMs;
  readonly to: EpochMs;
}

export type Route =
  | { readonly page: "fleet"; readonly search: string }
  | {
      readonly page: "thing";
      readonly thing: string;
      readonly range: string | null;
      /** This stretch of time, and not the present. */
      readonly span?: TimeSpan;
    }
  | { readonly page: "alerts"; readonly tab: AlertsTab }
  /** The story of one. */
  | { readonly page: "alert"; readonly id: string }
  | { readonly page: "rules"; readonly search: string }
  | { readonly page: "rule"; readonly name: string }
  | { readonly page: "new-rule" }
  | { readonly page: "dead-letters"; readonly receiver: string | null; readonly rule: string | null }
  /** Things that left for good. */
  | { readonly page: "retired" }
  | { readonly page: "people" }
  | { readonly page: "account" }
  | { readonly page: "unknown" };

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const parameters = new URLSearchParams(query);
  if (path === "" || path === "/") return { page: "fleet", search: parameters.get("search") ?? "" };
  if (path === "/alerts") {
    const id = parameters.get("alert");
    return id === null ? { page: "alerts", tab: tabOf(parameters.get("tab")) } : { page: "alert", id };
  }
  if (path === "/people" || path === "/account") return { page: path === "/people" ? "people" : "account" };
  if (path === "/retired") return { page: "retired" };
  if (path === "/rules") return { page: "rules", search: parameters.get("search") ?? "" };
  if (path === "/new-rule") return { page: "new-rule" };
  if (path === "/dead-letters") {
    return { page: "dead-letters", receiver: parameters.get("receiver"), rule: parameters.get("rule") };
  }
  const rule = /^\/rules\/(\w+)$/.exec(path);
  if (rule !== null) return { page: "rule", name: rule[1]! };
  const thing = /^\/things\/([^/]+)$/.exec(path);
  if (thing === null) return { page: "unknown" };
  const name = decoded(thing[1]!);
  if (name === null) return { page: "unknown" };
  const span = spanOf(parameters.get("from"), parameters.get("to"));
  return { page: "thing", thing: name, range: parameters.get("range"), ...(span === null ? {} : { span }) };
}

export function hrefOf(route: Route): string {
  switch (route.page) {
    case "fleet":
      return route.search === "" ? "#/" : `#/?search=${encodeURIComponent(route.search)}`;
    case "alerts":
      return route.tab === "active" ? "#/alerts" : `#/alerts?tab=${route.tab}`;
    case "thing": {
      const query = new URLSearchParams();
      if (route.range !== null) query.set("range", route.range);
      if (route.span !== undefined) {
        query.set("from", String(route.span.from));
        query.set("to", String(route.span.to));
      }
      return `#/things/${encodeURIComponent(route.thing)}${query.size === 0 ? "" : `?${query.toString()}`}`;
    }
    case "alert":
      return `#/alerts?alert=${encodeURIComponent(route.id)}`;
    case "rules":
      return route.search === "" ? "#/rules" : `#/rules?search=${encodeURIComponent(route.search)}`;
    case "rule":
      return `#/rules/${route.name}`;
    case "dead-letters": {
      const { receiver, rule } = route;
      const parameters = new URLSearchParams({
        ...(receiver === null ? {} : { receiver }),
        ...(rule === null ? {} : { rule }),
      });
      return parameters.size === 0 ? "#/dead-letters" : `#/dead-letters?${parameters.toString()}`;
    }
    case "new-rule":
    case "retired":
    case "people":
    case "account":
      return `#/${route.page}`;
    case "unknown":
      break;
  }
  return "#/";
}

function tabOf(text: string | null): AlertsTab {
  return text === "history" || text === "silences" ? text : "active";
}

/** Epoch milliseconds; what is no span of time, or lies outside of what a Date can hold, is left out. */
function spanOf(from: string | null, to: string | null): TimeSpan | null {
  if (!/^\d{1,15}$/.test(from ?? "") || !/^\d{1,15}$/.test(to ?? "")) return null;
  const span = { from: Number(from), to: Number(to) };
  return span.from < span.to ? span : null;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

export const route = signal<Route>({ page: "fleet", search: "" });

/** Follows the address from now on. */
export function startRouter(): void {
  const read = (): void => {
    route.value = parseRoute(location.hash);
  };
  addEventListener("hashchange", read);
  read();
}

export function go(to: Route): void {
  location.hash = hrefOf(to);
}

/** Changes the address without a new entry in the history: a search as it is typed, a range. */
export function replaceRoute(to: Route): void {
  history.replaceState(null, "", hrefOf(to));
  route.value = to;
}
