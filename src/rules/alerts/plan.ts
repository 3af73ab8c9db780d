/** How people are told, compiled from the configuration. */
import { days, hours, minutes, seconds } from "../../base/mod.ts";
import type { Edits } from "../actions/kind.ts";
import type { Maintenance } from "./calendar.ts";
import type { InhibitionRule } from "./inhibition.ts";
import type { Route } from "./routing.ts";

export interface ContactPoint {
  readonly name: string;
  /** More messages than this wait and go as one; null: as many as there are, for a program. */
  readonly perMinute: number | null;
  readonly edits: Edits;
  /** Kind of action that reaches it, for people who read the story. */
  readonly channel: string;
}

export interface AlertPlan {
  readonly contacts: readonly ContactPoint[];
  readonly route: Route;
  readonly inhibit: readonly InhibitionRule[];
  readonly maintenance: readonly Maintenance[];
  /** Address of the dashboard for links, without a slash at its end; null: messages carry none. */
  readonly link: string | null;
  /** Of times that say no other, and of those in pictures. */
  readonly zone: string;
}

/** As with Prometheus's Alertmanager. */
export const ROUTE_DEFAULTS = {
  groupBy: ["rule"],
  groupWait: seconds(30),
  groupInterval: minutes(5),
  repeatInterval: hours(4),
} as const;

export const SPAN_MAX = days(31);

/** For `webhooks` and `slackWebhooks` alone: each alert at once; what is too much for a person goes as one message. */
export function plainPlan(contacts: readonly ContactPoint[]): AlertPlan {
  const route: Route = {
    id: "0",
    matchers: [],
    contacts: contacts.map(({ name }) => name),
    groupBy: ["id"],
    groupWait: 0,
    groupInterval: 0,
    repeatInterval: null,
    escalate: [],
    mute: [],
    only: [],
    continues: false,
    routes: [],
  };
  return { contacts, route, inhibit: [], maintenance: [], link: null, zone: "UTC" };
}
