/** `tidewire schemas`: what payloads of a topic look like, and what becomes of others. */
import { Command } from "commander";
import { readDocumentFile } from "../adapters/document-files.ts";
import type { SchemaSummary, SchemaTest, SchemaView } from "../cloud/api/contract.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import type { Deed } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { givenText } from "./given-text.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

const pathOf = (name: string): string => `/api/schemas/${encodeURIComponent(name)}`;

export function schemasCommand(output: Output): Command {
  const schemas = new Command("schemas").description(
    "schemas of topics: what payloads look like, and what becomes of others",
  );
  const add = (name: string, description: string): Command => {
    const command = withConnection(new Command(name))
      .description(description)
      .option("--json", "print the result as JSON");
    schemas.addCommand(command);
    return command;
  };
  add("list", "list all schemas, with how much did not fit since the start").action((options: Options) =>
    list(options, output),
  );
  add("show", "print a schema as it is in force")
    .argument("<name>", "the schema's name")
    .action((name: string, options: Options) => show(name, options, output));
  add("put", "make a schema, or give it a new version, from a YAML or JSON file: topic, onViolation, schema")
    .argument("<name>", "the schema's name")
    .argument("<file>", "its document, as YAML or JSON")
    .action((name: string, file: string, options: Options) => put(name, file, options, output));
  add("test", "say whether a payload fits; exit status 1 where it does not")
    .argument("<name>", "the schema's name")
    .argument("<file>", "the payload; - reads standard input")
    .action((name: string, file: string, options: Options) => test(name, file, options, output));
  withConfirmation(add("delete", "delete a schema: its topic takes every payload again"))
    .argument("<name>", "the schema's name")
    .action(async (name: string, options: Options) => {
      const client = clientOf(options);
      const find = async (): Promise<Deed> => {
        const { topic } = await client.get<SchemaView>(pathOf(name));
        const means = [`${topic} takes every payload again`, "its versions are gone; `tidewire pull` keeps the newest"];
        return { what: `Deleting schema '${name}'`, name, means };
      };
      await confirm(options, find, output);
      await client.call("DELETE", pathOf(name));
      output.result(options.json === true ? JSON.stringify({ deleted: name }) : `Deleted schema ${name}.`);
    });
  return schemas;
}

async function list(options: Options, output: Output): Promise<void> {
  const { schemas } = await clientOf(options).get<{ schemas: readonly SchemaSummary[] }>("/api/schemas");
  if (options.json === true) return output.result(JSON.stringify(schemas));
  const rows = schemas.map(({ name, version, topic, onViolation, examined, unfit }) => [
    name,
    String(version),
    topic,
    onViolation,
    String(examined),
    String(unfit),
  ]);
  output.result(table([["SCHEMA", "VERSION", "TOPICS", "ON VIOLATION", "EXAMINED", "UNFIT"], ...rows]));
}

async function show(name: string, options: Options, output: Output): Promise<void> {
  const view = await clientOf(options).get<SchemaView>(pathOf(name));
  output.result(options.json === true ? JSON.stringify(view) : JSON.stringify(view.document, null, 2));
}

async function put(name: string, file: string, options: Options, output: Output): Promise<void> {
  const view = await clientOf(options).call<SchemaView>("PUT", pathOf(name), readDocumentFile(file, "schema").document);
  if (options.json === true) output.result(JSON.stringify(view));
  else output.result(`Version ${view.version} of schema ${name} is in force.`);
}

async function test(name: string, file: string, options: Options, output: Output): Promise<void> {
  const answer = await clientOf(options).call<SchemaTest>("POST", `${pathOf(name)}/test`, {
    payload: await givenText(file),
  });
  if (!answer.fits) process.exitCode = 1;
  if (options.json === true) output.result(JSON.stringify(answer));
  else output.result(answer.fits ? "It fits." : `It does not fit: ${answer.reason}.`);
}
