/** `tidewire rules move`, `export` and `import`: a rule goes on elsewhere with its windows as they are. */
import { readFileSync, writeFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import type { Option } from "commander";
import { LIMITS, TidewireError, parseJson, reasonOf } from "../base/mod.ts";
import { MOVE_MEDIA_TYPE } from "../cloud/moves/mod.ts";
import type { DepartureView } from "../cloud/moves/mod.ts";
import { PlatformClient } from "./client.ts";
import { clientOf, withConnection } from "./connection.ts";
import { optionFault } from "./option-fault.ts";
import type { Output } from "./output.ts";
import { durationOf, durationOption } from "./time-options.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
}

interface MoveOptions extends Options {
  readonly to?: string;
  readonly toToken?: string;
  readonly overlap?: number;
  readonly back?: true;
  readonly done?: true;
  readonly withoutTarget?: true;
}

const HELP = `
Both platforms must get the same messages, or the devices move along. The rule stops here, its state goes there, and it goes on
there from where it stopped: no message is lost or counted twice if both accept it within --overlap of each other.
If the command is interrupted, give it again: it goes on. Until the target has it, --back lets the rule go on here.
Here the rule stays, disabled: what it had to deliver is still delivered. \`tidewire rules delete\` removes it.`;

export function moveCommand(output: Output): Command {
  return withConnection(new Command("move"))
    .description("move a rule to another platform, with its windows and all that it keeps")
    .argument("<name>", "the rule's name")
    .option("--to <url>", "address of the other platform's API")
    .option("--to-token <token>", "administrator token there (or TIDEWIRE_TO_TOKEN)")
    .option("--to-token-file <file>", "a file that has it")
    .addOption(overlapOption())
    .option("--done", "it was imported elsewhere: what is kept of its state here is dropped")
    .option("--back", "it goes on here; the target is told not to take it any more")
    .option("--without-target", "with --back: the target is not asked, and does not have it for certain")
    .addHelpText("after", HELP)
    .action(async (name: string, options: MoveOptions & { readonly toTokenFile?: string }) => {
      const toToken =
        options.toTokenFile === undefined
          ? options.toToken
          : new TextDecoder().decode(read(options.toTokenFile)).trim();
      await moveRule(name, toToken === undefined ? options : { ...options, toToken }, output);
    });
}

export function exportCommand(output: Output): Command {
  return withConnection(new Command("export"))
    .description("stop a rule, and write it with its secrets and its state to a file")
    .argument("<name>", "the rule's name")
    .requiredOption("--with-state <file>", "the file; only you may read it")
    .addOption(overlapOption())
    .action(async (name: string, options: Options & { readonly withState: string; readonly overlap?: number }) => {
      const client = clientOf(options);
      await depart(client, name, `file ${options.withState}`, options.overlap);
      const bytes = await client.bytes("GET", statePath(name), null, MOVE_MEDIA_TYPE);
      write(options.withState, bytes);
      output.result(
        `Rule ${name} has stopped and is in ${options.withState}. When it is imported: \`tidewire rules move ${name} --done\`.`,
      );
    });
}

export function importCommand(output: Output): Command {
  return withConnection(new Command("import"))
    .description("let a rule go on here from where it stopped, from a file that `rules export` wrote")
    .argument("<file>", "as `tidewire rules export` wrote it")
    .action(async (file: string, options: Options) => {
      const bytes = read(file);
      const name = nameIn(bytes, file);
      await clientOf(options).bytes("PUT", statePath(name), bytes, MOVE_MEDIA_TYPE);
      output.result(`Rule ${name} goes on here.`);
    });
}

async function moveRule(name: string, options: MoveOptions, output: Output): Promise<void> {
  const source = clientOf(options);
  if (options.back === true) {
    await takeBack(source, name, options);
    output.result(`Rule ${name} goes on here.`);
    return;
  }
  if (options.done === true) {
    const { id } = await pending(source, name);
    await source.call("POST", `${departurePath(name)}/done`, { move: id });
    output.result(`Rule ${name} has left.`);
    return;
  }
  if (options.to === undefined) throw wrong("--to", "name the platform that it goes to, or --done, or --back");
  const target = targetOf(options.to, options);
  const { move } = await depart(source, name, target.url, options.overlap);
  const bytes = await source.bytes("GET", statePath(name), null, MOVE_MEDIA_TYPE);
  try {
    await target.bytes("PUT", statePath(name), bytes, MOVE_MEDIA_TYPE);
  } catch (error) {
    if (error instanceof TidewireError && REFUSALS.has(error.code)) {
      await source.call("DELETE", departurePath(name)); // it said no, so it does not have it
      output.note(`${target.url} does not take rule ${name}; it goes on here.`);
    } else output.note(`Rule ${name} stands still: give the command again, or with --back.`);
    throw error;
  }
  await source.call("POST", `${departurePath(name)}/done`, { move });
  output.result(`Rule ${name} goes on at ${target.url}; here it is disabled.`);
}

/** After these the target does not have the rule, for certain. */
const REFUSALS: ReadonlySet<string> = new Set([
  "ALREADY_EXISTS",
  "RULE_NOT_MOVABLE",
  "RULE_STATE_UNREADABLE",
  "RULE_INVALID",
  "RULE_SQL_INVALID",
  "UNAUTHORIZED",
  "PERMISSION_DENIED",
]);

async function takeBack(source: PlatformClient, name: string, options: MoveOptions): Promise<void> {
  const { id, to } = await pending(source, name);
  if (options.withoutTarget !== true) {
    const url = options.to ?? to;
    if (!/^https?:/.test(url)) {
      throw wrong(
        "--back",
        `it was written to ${to}; with --without-target if nobody has imported it, and nobody will`,
      );
    }
    await targetOf(url, options).call("DELETE", `${statePath(name)}?move=${id}`);
  }
  await source.call("DELETE", departurePath(name));
}

interface Pending {
  readonly id: string;
  readonly to: string;
}

/** The move by which the rule is leaving. */
async function pending(source: PlatformClient, name: string): Promise<Pending> {
  const { rule } = await source.get<{ rule: { move?: Pending & { phase: string } } }>(
    `/rules/${encodeURIComponent(name)}`,
  );
  if (rule.move?.phase === "leaving") return rule.move;
  throw new TidewireError("RULE_NOT_MOVABLE", { name, reason: "it is not leaving" });
}

async function depart(client: PlatformClient, name: string, to: string, overlap?: number): Promise<DepartureView> {
  const order = overlap === undefined ? { to } : { to, overlap };
  const departure = await client.call<DepartureView>("POST", departurePath(name), order);
  if (departure.to === to) return departure;
  throw new TidewireError("RULE_NOT_MOVABLE", { name, reason: `it is leaving for ${departure.to} already` });
}

function targetOf(url: string, options: MoveOptions): PlatformClient {
  const token = options.toToken ?? process.env["TIDEWIRE_TO_TOKEN"];
  if (token === undefined)
    throw wrong("--to-token", "the other platform must know you: --to-token, --to-token-file or TIDEWIRE_TO_TOKEN");
  if (!isPrivate(url))
    throw wrong("--to", "the rule's secrets and your token would travel in the clear; give https://");
  return new PlatformClient({ url, token, data: options.data });
}

/** Encrypted, or on this machine. */
function isPrivate(url: string): boolean {
  const { protocol, hostname } = URL.parse(url) ?? { protocol: "", hostname: "" };
  return protocol === "https:" || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

function statePath(name: string): string {
  return `/api/rules/${encodeURIComponent(name)}/state`;
}

function departurePath(name: string): string {
  return `/api/rules/${encodeURIComponent(name)}/departure`;
}

function nameIn(bytes: Uint8Array, file: string): string {
  const end = bytes.indexOf(0x0a);
  const parsed = parseJson(bytes.subarray(0, Math.max(0, end)), LIMITS.rules);
  const rule = parsed.ok ? (parsed.value as { rule?: { ruleName?: unknown } } | null)?.rule : undefined;
  if (typeof rule?.ruleName === "string") return rule.ruleName;
  throw new TidewireError("RULE_STATE_UNREADABLE", { reason: `${file} is no rule with its state` });
}

function overlapOption(): Option {
  const { overlap: fallback, overlapMax } = LIMITS.moves;
  return durationOption(
    "--overlap",
    "how far apart the two may accept the same message",
    `${fallback / 1000}s`,
    (text) => {
      const overlap = durationOf(/^\d+(?:\.\d+)?$/.test(text) ? `${text}s` : text);
      if (overlap <= overlapMax) return overlap;
      throw new InvalidArgumentError(`It must be at most ${overlapMax / 1000}s.`);
    },
  );
}

function read(file: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(readFileSync(file));
  } catch (error) {
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file, reason: reasonOf(error) }, { cause: error });
  }
}

/** Never over a file that is there: it may be the only copy of another state. */
function write(file: string, bytes: Uint8Array): void {
  try {
    writeFileSync(file, bytes, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw wrong("--with-state", `${file} cannot be written: ${reasonOf(error)}`);
  }
}

function wrong(key: string, reason: string): TidewireError {
  return optionFault("rules move", key, reason);
}
