/** `tidewire refused`: devices that did not get what they asked for, why, and the command that would allow it. */
import { setTimeout as pause } from "node:timers/promises";
import { Command } from "commander";
import { seconds } from "../base/mod.ts";
import type { Refusal, RefusalPage } from "../cloud/api/contract.ts";
import { clientOf, withConnection } from "./connection.ts";
import type { Output } from "./output.ts";
import { stopSignal } from "./stop-signal.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly thing?: string;
  readonly all?: boolean;
  readonly follow?: boolean;
  readonly json?: boolean;
}

const ASK_EVERY = seconds(1);

export function refusedCommand(output: Output): Command {
  return withConnection(new Command("refused"))
    .description("devices that were refused lately: why, and the command that would allow it")
    .option("--thing <name>", "only this thing, or who calls itself so")
    .option("--all", "also what would be allowed by now")
    .option("--follow", "go on with what comes, until Ctrl-C")
    .option("--json", "print each as JSON, on one line")
    .action((options: Options) => refused(options, output));
}

async function refused(options: Options, output: Output): Promise<void> {
  const shows = ({ allowedNow }: Refusal): boolean => options.all === true || !allowedNow;
  const page = await pageOf(options, 0);
  const found = page.refusals.filter(shows).toReversed(); // the latest is nearest to the prompt
  for (const one of found) show(one, options, output);
  if (options.follow !== true) {
    if (found.length === 0) output.note("Nobody was refused since the platform started, as far as is kept.");
    return;
  }
  const stop = stopSignal();
  let after = page.refusals[0]?.sequence ?? 0;
  while ((await Promise.race([pause(ASK_EVERY, null), stop])) === null) {
    const { refusals } = await pageOf(options, after);
    for (const one of refusals.toReversed()) show(one, options, output);
    after = refusals[0]?.sequence ?? after;
  }
}

function pageOf(options: Options, after: number): Promise<RefusalPage> {
  const thing = options.thing === undefined ? "" : `&thing=${encodeURIComponent(options.thing)}`;
  return clientOf(options).get<RefusalPage>(`/api/refusals?limit=500&after=${after}${thing}`);
}

function show(refusal: Refusal, options: Options, output: Output): void {
  if (options.json === true) return output.result(JSON.stringify(refusal));
  const { thing, clientId, subject, remoteAddress, action, resource, lastAt, count, sentence, fix, command } = refusal;
  const who = thing ?? clientId ?? subject ?? "somebody";
  const what = resource === null ? action : `${action} ${resource}`;
  const times = count === 1 ? "" : `, ${count} times`;
  output.result(`${new Date(lastAt).toISOString()}  ${who} (${remoteAddress})  ${what}${times}`);
  output.result(`  ${sentence}`);
  if (refusal.allowedNow) return output.result("  It would be allowed by now.");
  output.result(`  ${fix}${command === null ? "" : ":"}`);
  if (command !== null) output.result(`    ${command}`);
}
