/** `tidewire shadow`: what a thing should be, and what it says that it is. */
import { setTimeout as pause } from "node:timers/promises";
import { Command } from "commander";
import { TidewireError, reasonOf, seconds } from "../base/mod.ts";
import type { ShadowDocument, ShadowNames } from "../cloud/api/contract.ts";
import { parseExact } from "../twin/mod.ts";
import type { PlatformClient } from "./client.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import type { Deed } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { givenText } from "./given-text.ts";
import { optionFault } from "./option-fault.ts";
import type { Output } from "./output.ts";
import { stopSignal } from "./stop-signal.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly name?: string;
  readonly json?: boolean;
  readonly yes?: boolean;
}

interface UpdateOptions extends Options {
  readonly desired?: string;
  readonly reported?: string;
  readonly file?: string;
  readonly version?: string;
}

/** After the live connection is lost. */
const RECONNECT_DELAY = seconds(1);

export function shadowCommand(output: Output): Command {
  const shadow = new Command("shadow").description("shadows: what a thing should be, and what it says that it is");
  const add = (name: string, description: string): Command => {
    const command = withConnection(new Command(name)).description(description).argument("<thing>", "thing name");
    shadow.addCommand(command);
    return command;
  };
  const named = (command: Command): Command =>
    command
      .option("--name <shadow>", "a named shadow instead of the classic one")
      .option("--json", "print AWS IoT's document, on one line");
  named(add("get", "print a shadow")).action((thing: string, options: Options) => get(thing, options, output));
  named(add("update", "change a shadow: objects are merged, null removes a key"))
    .option("--desired <json>", "what it should be: '{\"on\":true}'; null removes the section")
    .option("--reported <json>", "what it is, as the thing itself would say it")
    .option("--file <file>", 'the whole request: {"state":{"desired":{…}}}; - reads standard input')
    .option("--version <number>", "only where the shadow has this version")
    .action((thing: string, options: UpdateOptions) => update(thing, options, output));
  withConfirmation(named(add("delete", "delete a shadow"))).action(async (thing: string, options: Options) => {
    const client = clientOf(options);
    const find = async (): Promise<Deed> => {
      await client.text("GET", pathOf(thing, options));
      const means = ["what it should be and what it said that it is are gone, here and for the device"];
      return { what: `Deleting ${titleOf(thing, options)}`, name: options.name ?? thing, means };
    };
    await confirm(options, find, output);
    const text = await client.text("DELETE", pathOf(thing, options));
    output.result(options.json === true ? text : `Deleted ${titleOf(thing, options)}.`);
  });
  add("list", "list a thing's named shadows")
    .option("--json", "print the result as JSON")
    .action((thing: string, options: Options) => list(thing, options, output));
  named(add("watch", "print a shadow now and whenever it changes, until Ctrl-C")).action(
    (thing: string, options: Options) => watch(thing, options, output),
  );
  return shadow;
}

async function get(thing: string, options: Options, output: Output): Promise<void> {
  show(await clientOf(options).text("GET", pathOf(thing, options)), thing, options, output);
}

async function update(thing: string, options: UpdateOptions, output: Output): Promise<void> {
  const text = await clientOf(options).text("POST", pathOf(thing, options), await requestOf(options));
  if (options.json === true) output.result(text);
  else output.result(`Updated ${titleOf(thing, options)}; it has version ${documentOf(text).version} now.`);
}

async function list(thing: string, options: Options, output: Output): Promise<void> {
  const client = clientOf(options);
  const path = `/api/things/shadow/ListNamedShadowsForThing/${encodeURIComponent(thing)}?pageSize=100`;
  const names: string[] = [];
  let token = "";
  for (;;) {
    const page: ShadowNames = await client.get<ShadowNames>(`${path}${token}`);
    names.push(...page.results);
    if (page.nextToken === undefined) break;
    token = `&nextToken=${encodeURIComponent(page.nextToken)}`;
  }
  if (options.json === true) output.result(JSON.stringify(names));
  else for (const name of names) output.result(name);
}

/** The live connection says that something has changed; what it is is read as `get` does. */
async function watch(thing: string, options: Options, output: Output): Promise<void> {
  const client = clientOf(options);
  let shown = "";
  const look = async (): Promise<void> => {
    const text = await read(client, pathOf(thing, options));
    const { state, version } = text === null ? { state: null, version: null } : documentOf(text);
    const now = JSON.stringify([version, state]);
    if (now === shown) return;
    shown = now;
    if (text === null) output.note(`There is no ${titleOf(thing, options)} now.`);
    else show(text, thing, options, output);
  };
  const running = { now: true };
  const stop = stopSignal().then(() => (running.now = false));
  await look();
  while (running.now) {
    const live = client.live({ type: "watch", thing }, (event) => {
      const { type, name } = event as { readonly type: string; readonly name?: string };
      if (type === "watching" || (type === "shadow" && name === (options.name ?? ""))) {
        look().catch((error: unknown) => output.note(reasonOf(error)));
      }
    });
    await Promise.race([stop, live.closed]);
    live.close();
    if (running.now) await Promise.race([stop, pause(RECONNECT_DELAY)]);
  }
}

/** Null where there is none. */
async function read(client: PlatformClient, path: string): Promise<string | null> {
  try {
    return await client.text("GET", path);
  } catch (error) {
    if (error instanceof TidewireError && error.code === "SHADOW_NOT_FOUND") return null;
    throw error;
  }
}

function show(text: string, thing: string, options: Options, output: Output): void {
  if (options.json === true) {
    output.result(text);
    return;
  }
  const { state, version } = documentOf(text);
  output.result(`${titleOf(thing, options)}, version ${version}`);
  output.result(JSON.stringify(state, null, 2));
}

/** Numbers as they are written, which a double may not hold. */
function documentOf(text: string): ShadowDocument {
  return parseExact(text) as unknown as ShadowDocument;
}

async function requestOf({ desired, reported, file, version }: UpdateOptions): Promise<string> {
  if (file !== undefined) {
    if (desired !== undefined || reported !== undefined || version !== undefined) {
      throw wrong("--file", "it is the whole request; --desired, --reported and --version belong into it");
    }
    return givenText(file);
  }
  if (desired === undefined && reported === undefined) throw wrong("--desired", "give it, --reported or --file");
  const sections = [
    ...(desired === undefined ? [] : [`"desired":${checked("--desired", desired)}`]),
    ...(reported === undefined ? [] : [`"reported":${checked("--reported", reported)}`]),
  ];
  const expected = version === undefined ? "" : `,"version":${checked("--version", version)}`;
  return `{"state":{${sections.join(",")}}${expected}}`;
}

/** It goes into the request as it is, so it must be one value. */
function checked(option: string, text: string): string {
  try {
    JSON.parse(text);
  } catch (error) {
    throw wrong(option, `it is no JSON: ${reasonOf(error)}`);
  }
  return text;
}

function wrong(option: string, reason: string): TidewireError {
  return optionFault("shadow update", option, reason);
}

function pathOf(thing: string, { name }: Options): string {
  const query = name === undefined ? "" : `?name=${encodeURIComponent(name)}`;
  return `/things/${encodeURIComponent(thing)}/shadow${query}`;
}

function titleOf(thing: string, { name }: Options): string {
  return name === undefined ? `shadow of ${thing}` : `shadow ${name} of ${thing}`;
}
