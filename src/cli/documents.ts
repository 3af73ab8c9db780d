/** `tidewire schedules` and `tidewire endpoints`: messages by the clock and by HTTP. */
import { Command } from "commander";
import { readDocumentFile } from "../adapters/document-files.ts";
import type { JsonObject } from "../base/mod.ts";
import type { EndpointView, ScheduleView } from "../cloud/api/contract.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import type { Deed } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { day, table } from "./output.ts";
import type { Output } from "./output.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

const KEPT_BY = {
  schedule: "its document is gone; `tidewire pull` keeps a copy",
  endpoint: "its document is gone, and its token; `tidewire pull` keeps a copy, but no token",
} as const;

type Rows<T> = (all: readonly T[]) => readonly (readonly string[])[];

export function schedulesCommand(output: Output): Command {
  const rows: Rows<ScheduleView> = (all) => [
    ["SCHEDULE", "CRON", "ZONE", "TOPIC", "NEXT (UTC)", "LAST (UTC)", ""],
    ...all.map((one) => [
      one.name,
      one.cron,
      one.timezone,
      one.topic,
      day(one.next),
      one.lastAt === null ? "-" : day(one.lastAt),
      one.lastError ?? "",
    ]),
  ];
  return documentsCommand("schedule", "messages by the clock: cron with time zones", rows, output);
}

export function endpointsCommand(output: Output): Command {
  const rows: Rows<EndpointView> = (all) => [
    ["ENDPOINT", "ADDRESS", "TOPIC", "FORM", "RECEIVED", "REFUSED"],
    ...all.map(({ name, topic, form, received, refused }) => [
      name,
      `/in/${name}`,
      topic,
      form ? "yes" : "no",
      String(received),
      String(refused),
    ]),
  ];
  return documentsCommand("endpoint", "messages by HTTP: POST /in/NAME with a token of its own", rows, output);
}

function documentsCommand<T>(
  kind: "schedule" | "endpoint",
  description: string,
  rows: Rows<T>,
  output: Output,
): Command {
  const command = new Command(`${kind}s`).description(description);
  const path = (name: string): string => `/api/${kind}s/${encodeURIComponent(name)}`;
  const add = (name: string, text: string): Command => {
    const one = withConnection(new Command(name)).description(text).option("--json", "print the result as JSON");
    command.addCommand(one);
    return one;
  };
  const print = (document: JsonObject, options: Options): void =>
    output.result(JSON.stringify(document, null, options.json === true ? 0 : 2));
  add("list", `list all ${kind}s`).action(async (options: Options) => {
    const all = (await clientOf(options).get<Record<string, readonly T[]>>(`/api/${kind}s`))[`${kind}s`]!;
    output.result(options.json === true ? JSON.stringify(all) : table(rows(all)));
  });
  add("show", `print the ${kind}'s document`)
    .argument("<name>", `the ${kind}'s name`)
    .action(async (name: string, options: Options) =>
      print(await clientOf(options).get<JsonObject>(path(name)), options),
    );
  add("put", `make or replace one from a YAML or JSON file (docs/files.md)`)
    .argument("<name>", `the ${kind}'s name`)
    .argument("<file>", "its document, as YAML or JSON")
    .action(async (name: string, file: string, options: Options) => {
      const { document } = readDocumentFile(file, kind);
      print(await clientOf(options).call<JsonObject>("PUT", path(name), document), options);
    });
  withConfirmation(add("delete", `delete the ${kind}`))
    .argument("<name>", `the ${kind}'s name`)
    .action(async (name: string, options: Options) => {
      const client = clientOf(options);
      const find = async (): Promise<Deed> => {
        const { topic } = await client.get<{ topic: string }>(path(name));
        const means = [`nothing comes to ${topic} by it any more`, KEPT_BY[kind]];
        return { what: `Deleting ${kind} '${name}'`, name, means };
      };
      await confirm(options, find, output);
      await client.call("DELETE", path(name));
      output.result(options.json === true ? JSON.stringify({ deleted: name }) : `Deleted ${kind} ${name}.`);
    });
  return command;
}
