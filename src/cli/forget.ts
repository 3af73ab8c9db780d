/** `tidewire forget`: everything that a device said, removed everywhere; asked before, and watched until it is done. */
import { setTimeout as pause } from "node:timers/promises";
import { Command } from "commander";
import type { ForgetReport, ForgottenThings } from "../cloud/api/contract.ts";
import type { PlatformClient } from "./client.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { optionFault } from "./option-fault.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";

interface Options {
  readonly data: string;
  readonly url?: string;
  readonly token?: string;
  readonly yes?: boolean;
  readonly withRegistration?: boolean;
  readonly wait: boolean;
  readonly list?: boolean;
  readonly json?: boolean;
}

const LOOK_PERIOD_MS = 250;
/** Exit status where it waits for something: the platform goes on with it. */
const EXIT_WAITING = 1;

const DETAILS = `
Removed are: its points and their rollups, its events (also in the cold tier), its alerts, requests of rules that carry its messages,
its sessions with what waits for them, retained messages, and what is known of its resent readings. Events that it published for others
(a gateway) go too; points that others hold of that stay theirs. What it says from now on is kept. It can be run again at any time.`;

export function forgetCommand(output: Output): Command {
  return withConfirmation(withConnection(new Command("forget")))
    .description("remove everything that a device has said, everywhere; it cannot be undone")
    .argument("[thing]", "name of the thing")
    .option("--with-registration", "its registration, too: its certificates are revoked, and it is disconnected")
    .option("--no-wait", "do not wait until it is done; the platform goes on by itself")
    .option("--list", "what was forgotten, and how far it is")
    .option("--json", "print the result as JSON")
    .addHelpText("after", DETAILS)
    .action((thing: string | undefined, options: Options) => forget(thing, options, output));
}

async function forget(thing: string | undefined, options: Options, output: Output): Promise<void> {
  const client = clientOf(options);
  if (options.list === true) return list(client, options, output);
  if (thing === undefined) throw optionFault("forget", "thing", "the name of the thing is missing");
  const registration =
    options.withRegistration === true
      ? "its certificates are revoked, its connection is cut, and its registration is removed"
      : "its registration and its certificates stay; what it says from now on is kept";
  const means = ["everything that it has said is removed, everywhere; only a backup brings it back", registration];
  await confirm(options, () => ({ what: `Forgetting '${thing}'`, name: thing, means }), output);
  const query = options.withRegistration === true ? "?withRegistration=true" : "";
  const path = `/api/things/${encodeURIComponent(thing)}/data${query}`;
  const begun = await client.call<ForgetReport>("DELETE", path);
  showDeparture(options.wait ? await finished(client, begun, output) : begun, options, output);
}

/** All of them, newest first. */
export async function departures(client: Pick<PlatformClient, "get">, path: string): Promise<readonly ForgetReport[]> {
  const things: ForgetReport[] = [];
  let next: number | null = null;
  do {
    const before: string = next === null ? "" : `&before=${next}`;
    const page: ForgottenThings = await client.get<ForgottenThings>(`${path}?limit=250${before}`);
    things.push(...page.things);
    ({ next } = page);
  } while (next !== null);
  return things;
}

/** What became of a thing that was forgotten or retired. */
export function showDeparture(report: ForgetReport, { json }: Pick<Options, "json">, output: Output): void {
  if (json === true) output.result(JSON.stringify(report));
  else print(report, output);
  if (report.state === "waiting") process.exitCode = EXIT_WAITING;
}

/** Done, or waiting for something that may take long. */
async function finished(client: PlatformClient, begun: ForgetReport, output: Output): Promise<ForgetReport> {
  let report = await client.get<ForgetReport>(`/api/forgotten/${begun.id}`);
  if (report.state === "running") output.note(`Forgetting ${report.thing} …`);
  while (report.state === "running") {
    await pause(LOOK_PERIOD_MS);
    report = await client.get<ForgetReport>(`/api/forgotten/${begun.id}`);
  }
  return report;
}

async function list(client: PlatformClient, { json }: Options, output: Output): Promise<void> {
  const things = await departures(client, "/api/forgotten");
  if (json === true) {
    for (const report of things) output.result(JSON.stringify(report));
    return;
  }
  const rows = things.map(({ thing, state, requestedAt, reason }) => [thing, state, dateOf(requestedAt), reason ?? ""]);
  output.result(table([["THING", "STATE", "SINCE", ""], ...rows]));
}

function print(report: ForgetReport, output: Output): void {
  const { thing, state, reason, missing, removed, remains, withRegistration, data, name } = report;
  const counts = Object.entries(removed).filter(([, count]) => count > 0);
  const what = counts.map(([name, count]) => `${count} ${wordsOf(name)}`).join(", ");
  const word = data === "erased" ? "forgotten" : "retired";
  if (state === "done")
    output.result(`${thing} is ${word}. Removed: ${what === "" ? "nothing, there was nothing" : what}.`);
  else output.result(`${thing} is being ${word}; still to come: ${missing.join(", ")}.`);
  if (withRegistration) output.result(`Its data is ${data}; its name is ${NAME_WORDS[name]}.`);
  if (reason !== null)
    output.result(
      `It waits: ${reason}. The platform tries again by itself; \`tidewire forget --list\` says how far it is.`,
    );
  for (const { where, detail, until, names } of remains) {
    const end = until === null ? "" : ` (until ${dateOf(until)} at the latest)`;
    output.result(`Remains in ${where}: ${detail}${end}.${names.length === 0 ? "" : ` ${names.join(", ")}`}`);
  }
}

const NAME_WORDS: Readonly<Record<ForgetReport["name"], string>> = {
  own: "its own",
  leaving: "not given again before all is done",
  free: "free",
  blocked: "blocked (`tidewire things retire NAME --free-name` frees it)",
  taken: "another thing's by now",
};

/** `deadLetters` → `dead letters`. */
function wordsOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function dateOf(time: number): string {
  return new Date(time).toISOString().slice(0, 16).replace("T", " ");
}
