/** The `alerts` section of the configuration → a plan. What is wrong is named with its place. */
import { days, minutes } from "../../base/mod.ts";
import type { EpochMs } from "../../base/mod.ts";
import type { Edits } from "../actions/kind.ts";
import type { CronTimes, Maintenance, MaintenanceTimes, TimeRange, Zones } from "./calendar.ts";
import { countAt, flagAt, invalid, listAt, matchersAt, objectAt, spanAt, textAt } from "./checks.ts";
import type { Json } from "./checks.ts";
import type { InhibitionRule } from "./inhibition.ts";
import { ROUTE_DEFAULTS, SPAN_MAX } from "./plan.ts";
import type { AlertPlan, ContactPoint } from "./plan.ts";
import type { Escalation, Route } from "./routing.ts";

export interface AlertConfig<Action> {
  readonly plan: AlertPlan;
  /** How each contact point is reached, by its name. */
  readonly actions: ReadonlyMap<string, Action>;
}

export interface AlertConfigPorts<Action> {
  readonly zones: Zones;
  readonly cron: CronTimes;
  /** The part of a contact point that says how it is reached: `{slack: {…}}`. Throws where it is wrong. */
  readonly actionAt: (input: Json, at: string) => Action;
  readonly edits: (action: Action) => Edits;
  readonly channelOf: (action: Action) => string;
  /** It is a program that wants each alert by itself, not a person. */
  readonly isProgram: (action: Action) => boolean;
}

const LIST_MAX = 200;
const DEPTH_MAX = 8;
/** What a person can read, and what the chat services take. */
const PER_MINUTE = 10;
const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const BODY_KEYS = ["contacts", "route", "times", "inhibit", "maintenance", "link", "zone"];
/** Of a contact point, beside the one that says how it is reached. */
export const CONTACT_KEYS = ["name", "perMinute"];
const ROUTE_KEYS = [
  "match contacts groupBy groupWait groupInterval repeatInterval escalate mute only continue routes",
].flatMap((line) => line.split(" "));

/** Throws RULE_INVALID. */
export function alertConfigOf<Action>(input: unknown, ports: AlertConfigPorts<Action>): AlertConfig<Action> {
  const body = objectAt(input, "alerts", BODY_KEYS);
  const actions = new Map<string, Action>();
  const contacts = listAt(body["contacts"], "alerts.contacts", LIST_MAX).map((contact, i) =>
    contactAt(contact, `alerts.contacts[${i}]`, actions, ports),
  );
  const zone = zoneAt(body["zone"], "alerts.zone", "UTC", ports.zones);
  const times = namedTimes(body["times"], zone, ports.zones);
  const context: RouteContext = { names: new Set(actions.keys()), times };
  if (body["route"] === undefined) throw invalid("alerts.route", "there must be a route that takes every alert");
  return {
    actions,
    plan: {
      contacts,
      route: routeAt(body["route"], "alerts.route", "0", null, context),
      inhibit: listAt(body["inhibit"], "alerts.inhibit", LIST_MAX).map((rule, i) =>
        inhibitionAt(rule, `alerts.inhibit[${i}]`),
      ),
      maintenance: listAt(body["maintenance"], "alerts.maintenance", LIST_MAX).map((window, i) =>
        maintenanceAt(window, `alerts.maintenance[${i}]`, zone, ports),
      ),
      link: body["link"] === undefined ? null : linkAt(body["link"], "alerts.link"),
      zone,
    },
  };
}

function contactAt<Action>(
  input: unknown,
  at: string,
  actions: Map<string, Action>,
  { actionAt, edits, channelOf, isProgram }: AlertConfigPorts<Action>,
): ContactPoint {
  const body = objectAt(input, at, Object.keys(input ?? {}));
  const name = nameAt(body["name"], `${at}.name`);
  if (actions.has(name)) throw invalid(`${at}.name`, "there is another contact point with this name");
  const action = actionAt(Object.fromEntries(Object.entries(body).filter(([key]) => !CONTACT_KEYS.includes(key))), at);
  actions.set(name, action);
  const given = body["perMinute"];
  const perMinute = given === undefined ? PER_MINUTE : countAt(given, `${at}.perMinute`, 1, 6000);
  return {
    name,
    edits: edits(action),
    channel: channelOf(action),
    perMinute: given === undefined && isProgram(action) ? null : perMinute,
  };
}

interface RouteContext {
  readonly names: ReadonlySet<string>;
  readonly times: ReadonlyMap<string, TimeRange>;
}

/** What a route does not say is as its parent has it. */
function routeAt(input: unknown, at: string, id: string, parent: Route | null, context: RouteContext): Route {
  if (id.split(".").length > DEPTH_MAX) throw invalid(at, `at most ${DEPTH_MAX} levels are allowed`);
  const body = objectAt(input, at, ROUTE_KEYS);
  const matchers = matchersAt(body["match"], `${at}.match`);
  if (parent === null && matchers.length > 0) throw invalid(`${at}.match`, "the first route takes every alert");
  const span = (name: "groupWait" | "groupInterval", otherwise: number): number =>
    body[name] === undefined ? otherwise : spanAt(body[name], `${at}.${name}`, SPAN_MAX);
  const base = parent ?? { ...ROUTE_DEFAULTS, contacts: [], escalate: [], mute: [], only: [] };
  const repeat = body["repeatInterval"];
  const route: Route = {
    id,
    matchers,
    contacts: body["contacts"] === undefined ? base.contacts : contactsAt(body["contacts"], `${at}.contacts`, context),
    groupBy: body["groupBy"] === undefined ? base.groupBy : labelNamesAt(body["groupBy"], `${at}.groupBy`),
    groupWait: span("groupWait", base.groupWait),
    groupInterval: span("groupInterval", base.groupInterval),
    repeatInterval: repeat === undefined ? base.repeatInterval : repeatAt(repeat, `${at}.repeatInterval`),
    escalate: body["escalate"] === undefined ? base.escalate : escalateAt(body["escalate"], `${at}.escalate`, context),
    mute: body["mute"] === undefined ? base.mute : timesAt(body["mute"], `${at}.mute`, context),
    only: body["only"] === undefined ? base.only : timesAt(body["only"], `${at}.only`, context),
    continues: body["continue"] === undefined ? false : flagAt(body["continue"], `${at}.continue`),
    routes: [],
  };
  const routes = listAt(body["routes"], `${at}.routes`, LIST_MAX).map((child, i) =>
    routeAt(child, `${at}.routes[${i}]`, `${id}.${i}`, route, context),
  );
  return { ...route, routes };
}

function contactsAt(input: unknown, at: string, { names }: RouteContext): string[] {
  return listAt(input, at, LIST_MAX).map((given, i) => {
    const name = textAt(given, `${at}[${i}]`);
    if (!names.has(name)) throw invalid(`${at}[${i}]`, `there is no contact point named '${name.slice(0, 64)}'`);
    return name;
  });
}

function labelNamesAt(input: unknown, at: string): string[] {
  const names = listAt(input, at, 16).map((name, i) => textAt(name, `${at}[${i}]`, 128));
  if (names.includes("id") && names.length > 1) throw invalid(at, "`id` stands alone: each alert goes by itself");
  return names;
}

function repeatAt(input: unknown, at: string): number | null {
  if (input === "never") return null;
  const span = spanAt(input, at, days(366));
  if (span < minutes(1)) throw invalid(at, "it must be a minute at least, or `never`");
  return span;
}

function escalateAt(input: unknown, at: string, context: RouteContext): Escalation[] {
  const steps = listAt(input, at, 10).map((step, i) => {
    const body = objectAt(step, `${at}[${i}]`, ["after", "contacts"]);
    const after = spanAt(body["after"], `${at}[${i}].after`, SPAN_MAX);
    return { after, contacts: contactsAt(body["contacts"], `${at}[${i}].contacts`, context) };
  });
  const wrong = steps.findIndex((step, i) => i > 0 && step.after <= steps[i - 1]!.after);
  if (wrong >= 0) throw invalid(`${at}[${wrong}].after`, "it must be longer than that of the step before");
  return steps;
}

function timesAt(input: unknown, at: string, { times }: RouteContext): TimeRange[] {
  return listAt(input, at, LIST_MAX).map((given, i) => {
    const range = times.get(textAt(given, `${at}[${i}]`));
    if (range === undefined) throw invalid(`${at}[${i}]`, "there is no such name in `alerts.times`");
    return range;
  });
}

const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

function namedTimes(input: unknown, otherwise: string, zones: Zones): ReadonlyMap<string, TimeRange> {
  const ranges = listAt(input, "alerts.times", LIST_MAX).map((given, i): TimeRange => {
    const at = `alerts.times[${i}]`;
    const body = objectAt(given, at, ["name", "days", "from", "to", "zone"]);
    const days = body["days"] === undefined ? WEEKDAYS : listAt(body["days"], `${at}.days`, 7);
    return {
      name: nameAt(body["name"], `${at}.name`),
      days: days.map((day, k) => weekdayAt(day, `${at}.days[${k}]`)),
      fromMinute: minuteAt(body["from"] ?? "00:00", `${at}.from`),
      toMinute: minuteAt(body["to"] ?? "00:00", `${at}.to`),
      zone: zoneAt(body["zone"], `${at}.zone`, otherwise, zones),
    };
  });
  return new Map(ranges.map((range) => [range.name, range]));
}

function weekdayAt(input: unknown, at: string): number {
  const day = WEEKDAYS.indexOf(String(input));
  if (day < 0) throw invalid(at, `it must be one of ${WEEKDAYS.join(", ")}`);
  return day;
}

function minuteAt(input: unknown, at: string): number {
  const match = typeof input === "string" ? /^([01]\d|2[0-3]):([0-5]\d)$/.exec(input) : null;
  if (match === null) throw invalid(at, 'it must be a time of the day in quotes, as in "08:30"');
  return Number(match[1]) * 60 + Number(match[2]);
}

function zoneAt(input: unknown, at: string, otherwise: string, zones: Zones): string {
  const zone = input === undefined ? otherwise : textAt(input, at, 64);
  if (!zones.knows(zone)) throw invalid(at, "it must be a time zone's name, as in Europe/Berlin");
  return zone;
}

function inhibitionAt(input: unknown, at: string): InhibitionRule {
  const body = objectAt(input, at, ["source", "target", "equal"]);
  const side = (name: "source" | "target"): InhibitionRule["source"] => {
    const matchers = matchersAt(body[name], `${at}.${name}`);
    if (matchers.length === 0) throw invalid(`${at}.${name}`, "at least one matcher is needed");
    return matchers;
  };
  return { source: side("source"), target: side("target"), equal: labelNamesAt(body["equal"], `${at}.equal`) };
}

function maintenanceAt<A>(input: unknown, at: string, zone: string, ports: AlertConfigPorts<A>): Maintenance {
  const body = objectAt(input, at, ["name", "match", "from", "to", "cron", "for", "zone"]);
  const name = nameAt(body["name"], `${at}.name`);
  return { name, matchers: matchersAt(body["match"], `${at}.match`), times: windowAt(body, at, zone, ports) };
}

function windowAt(
  body: Json,
  at: string,
  otherwise: string,
  { zones, cron }: Pick<AlertConfigPorts<unknown>, "zones" | "cron">,
): MaintenanceTimes {
  if (body["cron"] === undefined) {
    const [from, to] = [timeAt(body["from"], `${at}.from`), timeAt(body["to"], `${at}.to`)];
    if (to <= from) throw invalid(`${at}.to`, "it must be later than `from`");
    return { type: "once", from, to };
  }
  if (body["from"] !== undefined) throw invalid(`${at}.from`, "either `from` and `to`, or `cron` and `for`");
  const zone = zoneAt(body["zone"], `${at}.zone`, otherwise, zones);
  const pattern = textAt(body["cron"], `${at}.cron`, 256);
  const fault = cron.fault(pattern, zone);
  if (fault !== null) throw invalid(`${at}.cron`, `it is not a cron pattern: ${fault}`);
  return { type: "recurring", cron: pattern, zone, lasts: spanAt(body["for"], `${at}.for`, SPAN_MAX) };
}

/** With a time zone or `Z`: nobody should have to guess which. */
function timeAt(input: unknown, at: string): EpochMs {
  const text = input instanceof Date ? input.toISOString() : input;
  const time = typeof text === "string" && /(?:Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw invalid(at, "it must be a time with its zone, as in 2026-11-22T08:00:00+01:00");
  return time;
}

function nameAt(input: unknown, at: string): string {
  if (typeof input !== "string" || !NAME.test(input))
    throw invalid(at, "it must be 1 to 64 letters, digits, _ . and -");
  return input;
}

function linkAt(input: unknown, at: string): string {
  const url = typeof input === "string" && URL.canParse(input) ? new URL(input) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) throw invalid(at, "it must be an http:// or https:// address");
  return url.href.replace(/\/+$/, "");
}
