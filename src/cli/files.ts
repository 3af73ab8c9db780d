/** `tidewire diff`, `apply` and `pull`: what is configured, as files that people edit, compare and keep in git. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { documentText, readDocumentFolder, writeDocument } from "../adapters/document-files.ts";
import type { DocumentFolder, FileDocument, FileFault } from "../adapters/document-files.ts";
import { TidewireError } from "../base/mod.ts";
import type { JsonObject } from "../base/mod.ts";
import type {
  ConfigurationChange,
  ConfigurationDocument,
  ConfigurationPlan,
  ConfigurationRequest,
  ConfigurationView,
} from "../cloud/api/contract.ts";
import { confirm, withConfirmation } from "./confirmation.ts";
import { clientOf, withConnection } from "./connection.ts";
import { coloursFor, explain } from "./output.ts";
import type { Output } from "./output.ts";
import { hunksOf } from "./unified-diff.ts";

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly prune?: boolean;
  readonly dryRun?: boolean;
  readonly revision?: string;
  readonly overwrite?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

const DEFAULT_FOLDER = "config";
/** Of what becomes part of a path: what the platform's kinds allow, and neither hidden nor a way out. */
const PLAIN_NAME = /^[\w+=,@-][\w+=,.@-]{0,127}$/;
const EXIT_DIFFERENT = 1;
const EXIT_TROUBLE = 2;

const LAYOUT = `
One document per file, in YAML, JSON, or for a rule SQL below a YAML head; subfolders as you like:
  kind: rule                 # the name is the file's, unless \`name:\` says another
  sql: SELECT * FROM 'telemetry/#' WHERE temperature > 80
  actions: [{ alert: { severity: critical, summary: "\${thing} is hot" } }]
A secret may be \`!env NAME\`, or \`***\` for the one that is there. docs/files.md shows all kinds.`;

export function diffCommand(output: Output): Command {
  return withConnection(new Command("diff"))
    .description("show how files differ from what runs; exit status 0: not at all, 1: they do, 2: something is wrong")
    .argument("[folder]", "with the files", DEFAULT_FOLDER)
    .option("--prune", "also what runs and no file has")
    .option("--json", "print the result as JSON")
    .addHelpText("after", LAYOUT)
    .action(async (folder: string, options: Options) => {
      try {
        if (await diff(folder, options, output)) process.exitCode = EXIT_DIFFERENT;
      } catch (error) {
        explain(error, output);
        process.exitCode = EXIT_TROUBLE;
      }
    });
}

export function applyCommand(output: Output): Command {
  return withConfirmation(withConnection(new Command("apply")))
    .description("make what runs like the files, all of it or nothing; --dry-run only shows it")
    .argument("[folder]", "with the files", DEFAULT_FOLDER)
    .option("--dry-run", "change nothing")
    .option("--prune", "delete what runs and no file has; asks where there is any")
    .option("--revision <revision>", "only if what runs is still what `tidewire diff` showed under this revision")
    .option("--json", "print the result as JSON")
    .addHelpText("after", LAYOUT)
    .action((folder: string, options: Options) => apply(folder, options, output));
}

export function pullCommand(output: Output): Command {
  return withConnection(new Command("pull"))
    .description("write what runs as files, so that `tidewire diff` finds no difference; files that are there stay")
    .argument("[folder]", "to write into", DEFAULT_FOLDER)
    .option("--overwrite", "replace files that differ; their comments are lost")
    .option("--json", "print the result as JSON")
    .action((folder: string, options: Options) => pull(folder, options, output));
}

/** Whether there is a difference. */
async function diff(folder: string, options: Options, output: Output): Promise<boolean> {
  const found = documentsIn(folder, output);
  const plan = await planOf(found, options, output);
  if (options.json === true) output.result(JSON.stringify(plan));
  else show(plan, found, options, output);
  return plan.changes.length > 0;
}

async function apply(folder: string, options: Options, output: Output): Promise<void> {
  const found = documentsIn(folder, output);
  const plan = await planOf(found, options, output);
  if (options.json !== true) show(plan, found, options, output);
  if (options.dryRun === true) {
    if (options.json === true) output.result(JSON.stringify(plan));
    return;
  }
  const gone = plan.changes.filter(({ change }) => change === "delete");
  const means = gone.map((one) => `${keyOf(one)} is deleted: no file has it`);
  await confirm(options, () => (gone.length === 0 ? null : { what: "Pruning", name: "prune", means }), output);
  const revision = options.revision ?? plan.revision;
  const isNews = plan.changes.length > 0 || options.revision !== undefined;
  const made = isNews
    ? await clientOf(options).call<ConfigurationPlan>("PUT", "/api/configuration", requestOf(found, options), {
        "if-match": `"${revision}"`,
      })
    : plan;
  if (options.json === true) output.result(JSON.stringify(made));
  else if (made.changes.length > 0) output.result(`Done: ${counted(made.changes)}.`);
}

async function pull(folder: string, options: Options, output: Output): Promise<void> {
  const view = await clientOf(options).get<ConfigurationView>("/api/configuration");
  const present = existsSync(folder) ? documentsIn(folder, output, true) : { documents: [], faults: [] };
  const request = { documents: present.documents.map(plain) };
  const plan = await clientOf(options).call<ConfigurationPlan>("POST", "/api/configuration/plan", request);
  const files = new Map(present.documents.map((one) => [`${one.kind} ${one.name}`, one]));
  const differ = new Set(plan.changes.filter(({ change }) => change === "update").map(keyOf));
  const faulty = new Set(plan.faults.map(keyOf));
  const written: string[] = [];
  const left: string[] = [];
  for (const document of view.documents) {
    if (!PLAIN_NAME.test(document.kind) || !PLAIN_NAME.test(document.name)) continue; // no platform of ours has it
    const file = files.get(keyOf(document))?.file;
    if (file !== undefined && !differ.has(keyOf(document)) && !faulty.has(keyOf(document))) continue;
    const path = file ?? `${folderOf(document.kind)}/${document.name}.yaml`;
    const isTaken = file !== undefined || existsSync(join(folder, path));
    // Only what we would write ourselves: a head with SQL below is nobody's to replace by YAML under its name.
    if (isTaken && (options.overwrite !== true || path.endsWith(".sql"))) left.push(path);
    else {
      writeDocument(folder, path, { kind: document.kind, ...named(document, path), ...document.document });
      written.push(path);
    }
  }
  if (options.json === true) output.result(JSON.stringify({ revision: view.revision, written, left }));
  else
    output.result(
      `Wrote ${written.length} files; ${view.documents.length - written.length - left.length} were like what runs.`,
    );
  if (left.length > 0)
    throw new TidewireError("FILES_DIFFER", { count: left.length, names: left.slice(0, 10).join(", ") });
}

/** `rules`, `policies`, `alerts`. */
function folderOf(kind: string): string {
  return kind.endsWith("s") ? kind : `${kind}s`.replace(/ys$/, "ies");
}

/** A file whose name is not the document's says which it is. */
function named({ name }: ConfigurationDocument, path: string): { readonly name?: string } {
  return path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]+$/, "") === name ? {} : { name };
}

/** Throws CONFIGURATION_INVALID once every fault is told. */
function documentsIn(folder: string, output: Output, mayBeEmpty = false): DocumentFolder {
  const found = readDocumentFolder(folder);
  tellFaults([...found.faults, ...twice(found.documents)], folder, output);
  if (found.documents.length === 0 && !mayBeEmpty) {
    throw new TidewireError("FILES_UNREADABLE", { folder, reason: "it holds no .yaml, .json or .sql file" });
  }
  return found;
}

async function planOf(found: DocumentFolder, options: Options, output: Output): Promise<ConfigurationPlan> {
  const client = clientOf(options);
  const plan = await client.call<ConfigurationPlan>("POST", "/api/configuration/plan", requestOf(found, options));
  const faults = plan.faults.map(({ index, at, line, column, reason, fix }): FileFault => {
    const place = found.documents[index]?.place(at, line, column) ?? { file: ".", line: 1, column: 1 };
    return { ...place, reason: at === "" || at === "sql" ? reason : `${at}: ${reason}`, fix };
  });
  tellFaults(faults, "", output, plan.faultsLeftOut);
  return plan;
}

function requestOf({ documents }: DocumentFolder, { prune = false }: Options): ConfigurationRequest {
  return { documents: documents.map(plain), prune };
}

function plain({ kind, name, document }: ConfigurationDocument): ConfigurationDocument {
  return { kind, name, document };
}

function keyOf({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind} ${name}`;
}

function twice(documents: readonly FileDocument[]): FileFault[] {
  const seen = new Map<string, string>();
  return documents.flatMap((one) => {
    const earlier = seen.get(keyOf(one));
    seen.set(keyOf(one), earlier ?? one.file);
    const reason = `${one.kind} ${one.name} is in ${earlier} as well`;
    return earlier === undefined ? [] : [{ ...one.place("name"), reason, fix: "Keep one of them." }];
  });
}

function tellFaults(faults: readonly FileFault[], folder: string, output: Output, leftOut = 0): void {
  const [first] = faults;
  if (first === undefined) return;
  for (const { file, line, column, reason, fix } of faults) {
    output.note(`${join(folder, file)}:${line}:${column}: ${reason}${fix === null ? "" : `\n  ${fix}`}`);
  }
  const all = faults.length + leftOut;
  const count = all === 1 ? "one document" : `${all} documents`;
  throw new TidewireError("CONFIGURATION_INVALID", { count, first: `${first.file}:${first.line}: ${first.reason}` });
}

function show(
  plan: ConfigurationPlan,
  { documents }: DocumentFolder,
  { prune = false }: Options,
  output: Output,
): void {
  const colour = coloursFor(process.stdout);
  const files = new Map(documents.map((one) => [keyOf(one), one.file]));
  for (const one of plan.changes) {
    const title = `${one.kind} ${one.name}`;
    output.result(colour.bold(`--- ${one.before === null ? "/dev/null" : `${title} (runs)`}`));
    output.result(
      colour.bold(`+++ ${one.after === null ? "/dev/null" : `${title} (${files.get(keyOf(one)) ?? "?"})`}`),
    );
    for (const { before, after, lines } of hunksOf(textOf(one.before), textOf(one.after))) {
      output.result(colour.cyan(`@@ -${before.join(",")} +${after.join(",")} @@`));
      for (const { change, text } of lines) {
        if (change === "same") output.result(` ${text}`);
        else output.result(change === "added" ? colour.green(`+${text}`) : colour.red(`-${text}`));
      }
    }
  }
  if (plan.changes.length === 0) output.note("What runs is what the files say.");
  else output.note(`${counted(plan.changes)}. Revision ${plan.revision}`);
  const { others } = plan;
  if (others.length === 0) return;
  const names = others.slice(0, 5).map(keyOf).join(", ");
  const more = others.length > 5 ? ", …" : "";
  const why = prune ? "are in use, and stay" : "--prune would delete those that are not in use";
  output.note(`${others.length} run that no file has (${why}): ${names}${more}`);
}

function textOf(document: JsonObject | null): readonly string[] {
  return document === null ? [] : documentText(document).trimEnd().split("\n");
}

function counted(changes: readonly ConfigurationChange[]): string {
  const count = (wanted: ConfigurationChange["change"]): number =>
    changes.filter(({ change }) => change === wanted).length;
  return `${count("create")} created, ${count("update")} updated, ${count("delete")} deleted`;
}
