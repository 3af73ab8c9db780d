/** `tidewire rules dead`: what rules could not deliver. */
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { TidewireError, reasonOf } from "../base/mod.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import type { Confirmable } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { optionFault } from "./option-fault.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly json?: boolean;
}

interface Choice extends Options {
  readonly rule?: string;
  readonly receiver?: string;
  readonly all?: true;
  readonly limit?: number;
}

interface Letter {
  readonly number: number;
  readonly rule: string | null;
  readonly kind: string;
  readonly label: string;
  readonly attempts: number;
  readonly lastError: string;
  readonly diedAt: number;
}

export function deadCommand(output: Output): Command {
  const dead = new Command("dead").description("what rules could not deliver: list, show, edit, replay and drop it");
  dead.addCommand(
    chosen(withConnection(new Command("list")))
      .description("list dead letters, the newest first")
      .option("--limit <count>", "at most so many", count, 50)
      .option("--json", "print the result as JSON")
      .action((options: Choice) => list(options, output)),
  );
  dead.addCommand(
    withConnection(new Command("show"))
      .description("show one with its body and fields, as JSON")
      .argument("<number>", "as in the list", count)
      .action(async (number: number, options: Options) =>
        output.result(JSON.stringify(await clientOf(options).get(`/api/dead-letters/${number}`), null, 2)),
      ),
  );
  dead.addCommand(
    withConnection(new Command("edit"))
      .description("give one another body, other fields, or both")
      .argument("<number>", "as in the list", count)
      .option("--body-file <file>", "the new body")
      .option("--fields <json>", 'the new fields: \'{"topic": "a/b"}\'')
      .action((number: number, options: Options & { bodyFile?: string; fields?: string }) =>
        edit(number, options, output),
      ),
  );
  dead.addCommand(
    each("replay").action(async (number: number | undefined, options: Choice) =>
      output.result(`Waits again: ${await inPages("replay", choiceOf("replay", number, options), options)}.`),
    ),
  );
  dead.addCommand(
    withConfirmation(each("drop")).action((number: number | undefined, options: Choice & Confirmable) =>
      drop(choiceOf("drop", number, options), options, output),
    ),
  );
  return dead;
}

function each(verb: "replay" | "drop"): Command {
  return chosen(withConnection(new Command(verb)))
    .description(`${verb} one, or all of a rule or a receiver`)
    .argument("[number]", "as in the list", count)
    .option("--all", "all there are");
}

function chosen(command: Command): Command {
  return command
    .option("--rule <name>", "only those of this rule")
    .option("--receiver <key>", "only those for this receiver, as `show` names it");
}

function count(text: string): number {
  if (!/^[1-9][0-9]{0,9}$/.test(text)) throw new InvalidArgumentError("It must be a number from 1.");
  return Number(text);
}

async function list({ rule, receiver, limit = 50, ...options }: Choice, output: Output): Promise<void> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (rule !== undefined) query.set("rule", rule);
  if (receiver !== undefined) query.set("receiver", receiver);
  const { letters } = await clientOf(options).get<{ letters: readonly Letter[] }>(`/api/dead-letters?${query}`);
  if (options.json === true) {
    for (const letter of letters) output.result(JSON.stringify(letter));
    return;
  }
  const rows = letters.map((letter) => [
    String(letter.number),
    new Date(letter.diedAt).toISOString(),
    letter.rule ?? "(alert)",
    letter.kind,
    letter.label,
    String(letter.attempts),
    letter.lastError,
  ]);
  output.result(table([["NUMBER", "DIED", "RULE", "KIND", "RECEIVER", "ATTEMPTS", "REASON"], ...rows]));
}

async function edit(
  number: number,
  options: Options & { readonly bodyFile?: string; readonly fields?: string },
  output: Output,
): Promise<void> {
  const { bodyFile, fields } = options;
  const body = bodyFile === undefined ? {} : { bodyBase64: readBody(bodyFile).toString("base64") };
  const change = { ...body, ...(fields === undefined ? {} : { fields: parseFields(fields) }) };
  if (Object.keys(change).length === 0) {
    throw optionFault("rules dead edit", "--body-file", "give it, --fields or both");
  }
  await clientOf(options).call("PATCH", `/api/dead-letters/${number}`, change);
  output.result(`Changed ${number}; \`tidewire rules dead replay ${number}\` sends it.`);
}

interface Chosen {
  readonly number: number | undefined;
  readonly rule: string | undefined;
  readonly receiver: string | undefined;
  readonly all: true | undefined;
}

function choiceOf(verb: string, number: number | undefined, { rule, receiver, all }: Choice): Chosen {
  const choice = { number, rule, receiver, all };
  if (Object.values(choice).some((value) => value !== undefined)) return choice;
  throw optionFault(`rules dead ${verb}`, "number", "give it, --rule, --receiver or --all");
}

async function drop(choice: Chosen, options: Choice & Confirmable, output: Output): Promise<void> {
  const { number, rule, receiver } = choice;
  const which = [
    number === undefined ? "" : ` number ${number}`,
    rule === undefined ? "" : ` of rule ${rule}`,
    receiver === undefined ? "" : ` for ${receiver}`,
  ].join("");
  const what = `Dropping ${number === undefined ? "all dead letters" : "dead letter"}${which}`;
  const name = String(number ?? rule ?? receiver ?? "all");
  const means = ["what they say is gone, and never delivered (`tidewire rules dead replay` sends it)"];
  await confirm(options, () => ({ what, name, means }), output);
  output.result(`Dropped: ${await inPages("drop", choice, options)}.`);
}

/** The platform takes some hundred at a time, so that it goes on with its work in between. */
async function inPages(verb: "replay" | "drop", choice: Chosen, options: Options): Promise<number> {
  let sum = 0;
  for (;;) {
    const path = `/api/dead-letters/${verb}`;
    const answer = (await clientOf(options).call("POST", path, choice)) as Record<string, number> & { more: boolean };
    const done = answer[verb === "replay" ? "replayed" : "dropped"]!;
    sum += done;
    if (!answer.more || done === 0) return sum;
  }
}

function readBody(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file, reason: reasonOf(error) }, { cause: error });
  }
}

function parseFields(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw optionFault("rules dead edit", "--fields", `it is no JSON: ${reasonOf(error)}`);
  }
}
