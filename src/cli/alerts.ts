/** `tidewire alerts`: what is wrong, who has seen it, and who is told. */
import { Command } from "commander";
import type { Alert, AlertPage, AlertRouteAnswer, AlertStory, Silence, SilenceList } from "../cloud/api/contract.ts";
import type { Millis } from "../base/mod.ts";
import { clientOf, withConnection } from "./connection.ts";
import { optionFault } from "./option-fault.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";
import { durationOf } from "./time-options.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly json?: boolean;
  readonly all?: boolean;
  readonly phase?: string;
  readonly severity?: string;
  readonly rule?: string;
  readonly thing?: string;
  readonly comment?: string;
  readonly for?: Millis;
  readonly end?: string;
  readonly label?: readonly string[];
}

const LIST_MAX = "250";

export function alertsCommand(output: Output): Command {
  const alerts = new Command("alerts").description("alerts: list, show, acknowledge, silence, and where they would go");
  const add = (name: string, text: string): Command => {
    const command = withConnection(new Command(name)).description(text).option("--json", "print the result as JSON");
    alerts.addCommand(command);
    return command;
  };
  add("list", "list alerts, the worst and newest first")
    .option("--all", "those that are over, too")
    .option("--phase <phase>", "pending, firing, acknowledged or resolved")
    .option("--severity <severity>", "info, warning or critical")
    .option("--rule <pattern>", "of these rules; `*` stands for any text")
    .option("--thing <name>", "of this thing")
    .action((options: Options) => list(options, output));
  add("show", "show an alert with its story")
    .argument("<id>", "as `tidewire alerts list` shows it")
    .action((id: string, options: Options) => show(id, options, output));
  add("ack", "say that somebody has seen it: it is not repeated and does not escalate")
    .argument("<id>", "as `tidewire alerts list` shows it")
    .option("--comment <text>", "what is done about it")
    .action(async (id: string, options: Options) => {
      const { comment } = options;
      const body = comment === undefined ? {} : { comment };
      const alert = await clientOf(options).call<Alert>("POST", `${pathOf(id)}/acknowledge`, body);
      output.result(options.json === true ? JSON.stringify(alert) : `Acknowledged: ${alert.summary}`);
    });
  add("silence", "tell nobody of alerts that match, for a while")
    .argument("<matcher...>", "NAME=VALUE, as in rule=cpu_* thing=pump-1|pump-2 severity!=critical")
    .requiredOption("--for <duration>", "how long, e.g. 30m, 2h, 1d", durationOf)
    .option("--comment <text>", "why")
    .action((matchers: string[], options: Options) => silence(matchers, options, output));
  add("silences", "list silences, or end one")
    .option("--end <id>", "end this silence now")
    .action((options: Options) => silences(options, output));
  add("route", "say where an alert would go, and why")
    .argument("<rule>", "the rule's name")
    .argument("<thing>", "thing name")
    .option("--severity <severity>", "info, warning or critical", "warning")
    .option("--label <name=value...>", "a label that it would have, as in attributes.site=berlin")
    .action((rule: string, thing: string, options: Options) => route(rule, thing, options, output));
  return alerts;
}

function pathOf(id: string): string {
  return `/api/alerts/${encodeURIComponent(id)}`;
}

async function list(options: Options, output: Output): Promise<void> {
  const { all, phase, severity, rule, thing } = options;
  const query = new URLSearchParams({ state: all === true ? "all" : "active", limit: LIST_MAX });
  for (const [name, value] of Object.entries({ phase, severity, rule, thing })) {
    if (value !== undefined) query.set(name, value);
  }
  const { alerts, active } = await clientOf(options).get<AlertPage>(`/api/alerts?${query.toString()}`);
  if (options.json === true) {
    for (const alert of alerts) output.result(JSON.stringify(alert));
    return;
  }
  const rows = alerts.map((alert) => [
    alert.severity,
    alert.flapping ? `${alert.phase}, flapping` : alert.phase,
    time(alert.since),
    alert.thing,
    alert.summary,
    alert.id,
  ]);
  output.result(table([["SEVERITY", "STATE", "SINCE", "THING", "WHAT", "ID"], ...rows]));
  if (active > alerts.length && all !== true) output.result(`${active} are active.`);
}

async function show(id: string, options: Options, output: Output): Promise<void> {
  const story = await clientOf(options).get<AlertStory>(pathOf(id));
  if (options.json === true) {
    output.result(JSON.stringify(story));
    return;
  }
  const { alert, history } = story;
  const limit = alert.threshold === null ? "" : ` (threshold ${alert.threshold})`;
  const facts = [
    ["what", alert.summary],
    ["state", `${alert.severity}, ${alert.phase}${alert.flapping ? ", flapping" : ""}`],
    ["thing", alert.thing],
    ["rule", alert.rule],
    ...(alert.value === null ? [] : [["value", `${alert.value}${limit}`]]),
    ["since", time(alert.since)],
    ...(alert.assignee === null ? [] : [["assignee", alert.assignee]]),
    ...Object.entries(alert.labels),
  ];
  output.result(table(facts));
  output.result("");
  const lines = history.map(({ at, type, by, note }) => [time(at), type, by ?? "", note ?? ""]);
  output.result(table([["WHEN", "WHAT", "WHO", "NOTE"], ...lines]));
}

async function silence(matchers: readonly string[], options: Options, output: Output): Promise<void> {
  const client = clientOf(options);
  // The platform's clock counts, not this machine's.
  const { now } = await client.get<SilenceList>("/api/alert-silences");
  const body = { matchers, endsAt: now + options.for!, comment: options.comment ?? "" };
  const made = await client.call<Silence>("POST", "/api/alert-silences", body);
  output.result(options.json === true ? JSON.stringify(made) : `Silence ${made.id} until ${time(made.endsAt)}.`);
}

async function silences(options: Options, output: Output): Promise<void> {
  const client = clientOf(options);
  if (options.end !== undefined) {
    const ended = await client.call<Silence>("DELETE", `/api/alert-silences/${encodeURIComponent(options.end)}`);
    output.result(options.json === true ? JSON.stringify(ended) : `Silence ${ended.id} is over.`);
    return;
  }
  const { silences: found, now } = await client.get<SilenceList>("/api/alert-silences");
  if (options.json === true) {
    for (const one of found) output.result(JSON.stringify(one));
    return;
  }
  const state = ({ startsAt, endsAt }: Silence): string =>
    now >= endsAt ? "over" : now < startsAt ? "to come" : "in force";
  const rows = found.map((one) => [
    one.id,
    state(one),
    time(one.endsAt),
    one.createdBy,
    one.matchers.join(" "),
    one.comment,
  ]);
  output.result(table([["ID", "STATE", "UNTIL", "BY", "MATCHERS", "COMMENT"], ...rows]));
}

async function route(rule: string, thing: string, options: Options, output: Output): Promise<void> {
  const labels = Object.fromEntries((options.label ?? []).map(labelOf));
  const question = { rule, thing, severity: options.severity ?? "warning", labels };
  const answer = await clientOf(options).call<AlertRouteAnswer>("POST", "/api/alert-route", question);
  if (options.json === true) {
    output.result(JSON.stringify(answer));
    return;
  }
  const rows = answer.steps.map(({ route: id, matchers, failed, taken, contacts }) => [
    id,
    taken ? "taken" : failed === null ? "passed through" : `not: ${failed}`,
    matchers.join(" ") || "everything",
    contacts.join(", ") || "nobody",
  ]);
  output.result(table([["ROUTE", "RESULT", "MATCHES", "CONTACTS"], ...rows]));
  for (const { contacts, muted } of answer.groups) {
    const who = contacts.join(", ") || "nobody";
    output.result(muted === null ? `Told: ${who}.` : `Not told now: ${who} (${muted.by}: ${muted.reason}).`);
  }
}

function labelOf(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at <= 0) throw optionFault("alerts route", "--label", `it takes NAME=VALUE, not '${text}'`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function time(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
