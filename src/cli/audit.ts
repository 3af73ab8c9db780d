/** `tidewire audit`: what was done, by whom, and whether the log of it is whole. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Command } from "commander";
import { readAuditFolder } from "../adapters/files/audit-log.ts";
import { checkpointVerifier } from "../adapters/pki/mod.ts";
import { anchorText, checkpointJson, parseAnchor, parseCheckpoint, verifyAudit } from "../audit/mod.ts";
import type { AuditVerdict, ChainHead, Checkpoint, SignatureCheck } from "../audit/mod.ts";
import { TidewireError, reasonOf } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import type { AuditCheckpointView, AuditEntryView, AuditPageView } from "../cloud/api/contract.ts";
import { clientOf, withConnection } from "./connection.ts";
import { countOf } from "./log-options.ts";
import { optionFault } from "./option-fault.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";
import { agoOf } from "./time-options.ts";

interface VerifyOptions {
  readonly data: string;
  readonly anchor: readonly string[];
  readonly key: readonly string[];
  readonly checkpoint: readonly string[];
  readonly json?: boolean;
}

interface ConnectionOptions {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
}

interface SearchOptions {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
  readonly outcome?: string;
  readonly since?: EpochMs;
  readonly until?: EpochMs;
  readonly limit: number;
  readonly json?: boolean;
}

export function auditCommand(output: Output): Command {
  const audit = new Command("audit").description("what was done, by whom");
  audit.addCommand(
    new Command("verify")
      .description("check that the audit log is whole; names the first place that is not, and exits with 1")
      .option("--data <folder>", "data folder of the platform; it may be running", "tidewire-data")
      .option("--anchor <sequence:hash...>", "ends of the chain that were noted elsewhere, to be found in it", [])
      .option(
        "--key <file...>",
        "public keys that were kept elsewhere (`audit key`); default: the data folder's own",
        [],
      )
      .option(
        "--checkpoint <file...>",
        "checkpoints that were kept elsewhere, one JSON per line, to be found in it",
        [],
      )
      .option("--json", "print the result as JSON")
      .action((options: VerifyOptions) => verify(options, output)),
  );
  audit.addCommand(
    withConnection(new Command("checkpoint"))
      .description("print the newest signed checkpoint as a line of JSON, to be kept on another machine")
      .action(async (options: ConnectionOptions) => {
        const { checkpoint } = await clientOf(options).get<AuditCheckpointView>("/api/audit/checkpoint");
        if (checkpoint === null) throw new TidewireError("NOT_FOUND", { kind: "checkpoint", name: "of the audit log" });
        output.result(JSON.stringify(checkpoint));
      }),
  );
  audit.addCommand(
    withConnection(new Command("key"))
      .description("print the public key of the checkpoints, to be kept on another machine")
      .action(async (options: ConnectionOptions) => {
        const { publicKey } = await clientOf(options).get<AuditCheckpointView>("/api/audit/checkpoint");
        if (publicKey === null) throw new TidewireError("NOT_FOUND", { kind: "key", name: "of the audit log" });
        output.result(publicKey.trimEnd());
      }),
  );
  audit.addCommand(
    withConnection(new Command("search"))
      .description("look for entries, newest first")
      .option("--actor <text>", "part of a user's, key's or device's name")
      .option("--action <name>", "whole, or with * at its end: 'user.*', device.connect")
      .option("--target <text>", "part of what it was done to")
      .option("--outcome <outcome>", "ok, refused or failed")
      .option("--since <when>", "from there on: 24h ago, or a time (2026-12-31T08:00Z) (default: the first)", agoOf)
      .option("--until <when>", "up to there: likewise (default: now)", agoOf)
      .option("--limit <count>", "at most so many", countOf, 100)
      .option("--json", "print entries as JSON lines")
      .action((options: SearchOptions) => search(options, output)),
  );
  return audit;
}

async function verify(options: VerifyOptions, output: Output): Promise<void> {
  const { data, anchor, json } = options;
  const folder = join(data, "audit");
  if (!existsSync(folder))
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: data, reason: "it holds no audit log" });
  const facts = storedFacts(data);
  const anchors = [...anchor.map(anchorOf), ...facts.anchors];
  const signatures = signatureCheck(options, facts.checkpoints);
  const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
  const verdict = await verifyAudit(readAuditFolder(folder), anchors, sha256, signatures);
  const { fault, proven } = verdict;
  if (json === true) {
    const shown = { ...verdict, proven: proven === null ? null : checkpointJson(proven) };
    output.result(JSON.stringify({ whole: fault === null, ...shown, anchors: anchors.length }));
  }
  if (fault !== null) throw new TidewireError("AUDIT_DAMAGED", { reason: fault });
  if (json !== true) tell(verdict, options, output);
}

function tell(
  { entries, files, first, head, unfinished, ...signed }: AuditVerdict,
  options: VerifyOptions,
  output: Output,
) {
  output.result(`Whole: ${entries} entries in ${files} files, from entry ${first ?? 1} on.`);
  const { proven, unprovenSince } = signed;
  if (proven !== null) {
    const at = new Date(proven.time).toISOString();
    output.result(`Proven by signature up to entry ${proven.entry}: checkpoint ${proven.number} of ${at}.`);
    if (unprovenSince !== null)
      output.note(`What was written since ${new Date(unprovenSince).toISOString()} is not signed yet.`);
    if (options.key.length === 0)
      output.note(
        "That is by the key beside it, which whoever changes the log can change as well: give one that you kept with `--key`.",
      );
  }
  output.result(`Its end is ${anchorText(head).replace(" ", ":")}`);
  output.note("Keep that line on another machine: `--anchor` finds it again, or tells that the log was made anew.");
  if (unfinished) output.note("The last line is half: it is being written just now, or the platform was killed.");
}

/** Null: there is no key to check a signature with. */
function signatureCheck(options: VerifyOptions, stored: readonly Checkpoint[]): SignatureCheck | null {
  const own = join(options.data, "secrets", "audit.pub");
  const files = options.key.length > 0 ? options.key : existsSync(own) ? [own] : [];
  if (files.length === 0) {
    if (options.checkpoint.length === 0) return null;
    throw optionFault("audit verify", "--checkpoint", "it needs --key: the public key that signed them");
  }
  const keys = files.map((name) => ({ name, pem: readGiven(name) }));
  const given = options.checkpoint.flatMap((name) => checkpointsIn(name, readGiven(name)));
  return { verify: checkpointVerifier(keys), checkpoints: [...given, ...stored] };
}

function readGiven(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new TidewireError("CONFIG_FILE_UNREADABLE", { file: path, reason: reasonOf(error) }, { cause: error });
  }
}

function checkpointsIn(name: string, text: string): readonly Checkpoint[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line, index) => {
      const checkpoint = checkpointOf(line);
      if (checkpoint !== null) return checkpoint;
      throw optionFault("audit verify", "--checkpoint", `${name}, line ${index + 1} is no checkpoint`);
    });
}

function checkpointOf(text: string): Checkpoint | null {
  try {
    return parseCheckpoint(JSON.parse(text));
  } catch {
    return null;
  }
}

function anchorOf(text: string): ChainHead {
  const anchor = parseAnchor(text);
  if (anchor !== null) return anchor;
  throw optionFault("audit verify", "--anchor", `it takes SEQUENCE:HASH as \`audit verify\` prints it, not '${text}'`);
}

/** The platform keeps the chain's end, and its last checkpoint, in another file. */
function storedFacts(data: string): {
  readonly anchors: readonly ChainHead[];
  readonly checkpoints: readonly Checkpoint[];
} {
  const path = join(data, "people.db");
  if (!existsSync(path)) return { anchors: [], checkpoints: [] };
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  try {
    const statement = database.prepare("SELECT value FROM facts WHERE name = ?");
    const fact = (name: string): string | null => (statement.get(name)?.["value"] as string | undefined) ?? null;
    const anchor = parseAnchor(fact("audit-anchor"));
    const checkpoint = checkpointOf(fact("audit-checkpoint") ?? "");
    return { anchors: anchor === null ? [] : [anchor], checkpoints: checkpoint === null ? [] : [checkpoint] };
  } finally {
    database.close();
  }
}

async function search(options: SearchOptions, output: Output): Promise<void> {
  const client = clientOf(options);
  const names = ["actor", "action", "target", "outcome", "since", "until"] as const;
  const entries: AuditEntryView[] = [];
  let before: number | null = null;
  do {
    const query = new URLSearchParams({ limit: String(Math.min(options.limit - entries.length, 1_000)) });
    for (const name of names) if (options[name] !== undefined) query.set(name, String(options[name]));
    if (before !== null) query.set("before", String(before));
    const page: AuditPageView = await client.get<AuditPageView>(`/api/audit?${query}`);
    entries.push(...page.entries);
    before = page.before;
  } while (before !== null && entries.length < options.limit);
  if (options.json === true) {
    for (const entry of entries) output.result(JSON.stringify(entry));
    return;
  }
  const rows = entries.map((entry) => [
    new Date(entry.time).toISOString(),
    actorText(entry.actor),
    entry.address ?? "–",
    entry.action,
    entry.target ?? "–",
    entry.outcome === "ok" ? "ok" : `${entry.outcome}: ${entry.reason ?? ""}`,
  ]);
  output.result(table([["TIME", "WHO", "FROM", "ACTION", "TARGET", "OUTCOME"], ...rows]));
}

function actorText(actor: AuditEntryView["actor"]): string {
  const named = ["user", "name", "thing", "certificateId", "part"]
    .map((key) => actor[key])
    .find((text) => typeof text === "string");
  return named === undefined || named === null ? actor.kind : `${actor.kind} ${named}`;
}
