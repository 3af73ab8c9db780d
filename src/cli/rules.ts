/** `tidewire rules`: what happens with messages. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { TidewireError, reasonOf } from "../base/mod.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import type { Deed } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";
import { deadCommand } from "./rules-dead.ts";
import { explainCommand } from "./rules-explain.ts";
import { exportCommand, importCommand, moveCommand } from "./rules-move.ts";
import { runCommand } from "./rules-run.ts";
import { testCommand } from "./rules-test.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

interface RuleListItem {
  readonly ruleName: string;
  readonly topicPattern: string;
  readonly ruleDisabled: boolean;
}

export function rulesCommand(output: Output): Command {
  const rules = new Command("rules").description(
    "rules: list, put, delete, test and move them, and what they could not deliver",
  );
  rules.addCommand(
    withConnection(new Command("list"))
      .description("list all rules")
      .option("--json", "print the result as JSON")
      .action((options: Options) => list(options, output)),
  );
  rules.addCommand(
    withConnection(new Command("put"))
      .description('create or replace a rule from a JSON file: {"sql": "SELECT …", "actions": [ … ]}')
      .argument("<name>", "the rule's name")
      .argument("<file>", "its document, as JSON")
      .action((name: string, file: string, options: Options) => put(name, file, options, output)),
  );
  rules.addCommand(
    withConfirmation(withConnection(new Command("delete")))
      .description("delete a rule")
      .argument("<name>", "the rule's name")
      .action((name: string, options: Options) => remove(name, options, output)),
  );
  rules.addCommand(testCommand(output));
  rules.addCommand(runCommand(output));
  rules.addCommand(explainCommand(output));
  rules.addCommand(deadCommand(output));
  for (const command of [moveCommand, exportCommand, importCommand]) rules.addCommand(command(output));
  return rules;
}

async function list(options: Options, output: Output): Promise<void> {
  const { rules } = await clientOf(options).get<{ rules: readonly RuleListItem[] }>("/rules");
  if (options.json === true) {
    for (const rule of rules) output.result(JSON.stringify(rule));
    return;
  }
  const rows = rules.map((rule) => [rule.ruleName, rule.ruleDisabled ? "disabled" : "enabled", rule.topicPattern]);
  output.result(table([["RULE", "STATE", "TOPICS"], ...rows]));
}

async function put(name: string, file: string, options: Options, output: Output): Promise<void> {
  const document = readDocument(file);
  const client = clientOf(options);
  const path = `/rules/${encodeURIComponent(name)}`;
  try {
    await client.call("PATCH", path, document);
  } catch (error) {
    if (!(error instanceof TidewireError) || error.code !== "NOT_FOUND") throw error;
    await client.call("POST", path, document);
  }
  output.result(`Rule ${name} is in force.`);
}

async function remove(name: string, options: Options, output: Output): Promise<void> {
  const client = clientOf(options);
  const path = `/rules/${encodeURIComponent(name)}`;
  const find = async (): Promise<Deed> => {
    await client.get(path);
    const means = [
      "its SQL and its actions are gone (`tidewire pull` keeps a copy)",
      "its open windows are dropped, what waits to be delivered too, and its alerts end",
    ];
    return { what: `Deleting rule '${name}'`, name, means };
  };
  await confirm(options, find, output);
  await client.call("DELETE", path);
  output.result(`Deleted rule ${name}.`);
}

function readDocument(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file, reason: reasonOf(error) }, { cause: error });
  }
}
