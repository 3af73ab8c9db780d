/** `tidewire audit`: what was done, by whom, and whether the log of it is whole. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Command } from "commander";
import { readAuditFolder } from "../adapters/files/audit-log.ts";
import { anchorText, parseAnchor, verifyAudit } from "../audit/mod.ts";
import type { ChainHead } from "../audit/mod.ts";
import { TidewireError } from "../base/mod.ts";
import type { AuditEntryView, AuditPageView } from "../cloud/api/contract.ts";
import { clientOf, withConnection } from "./connection.ts";
import { table } from "./output.ts";
import type { Output } from "./output.ts";

interface VerifyOptions {
  readonly data: string;
  readonly anchor: readonly string[];
  readonly json?: boolean;
}

interface SearchOptions {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly actor?: string;
  readonly action?: string;
  readonly target?: string;
  readonly outcome?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: string;
  readonly json?: boolean;
}

export function auditCommand(output: Output): Command {
  const audit = new Command("audit").description("what was done, by whom");
  audit.addCommand(
    new Command("verify")
      .description("check that the audit log is whole; names the first place that is not, and exits with 1")
      .option("--data <folder>", "data folder of the platform; it may be running", "tidewire-data")
      .option("--anchor <sequence:hash...>", "ends of the chain that were noted elsewhere, to be found in it", [])
      .option("--json", "print the result as JSON")
      .action((options: VerifyOptions) => verify(options, output)),
  );
  audit.addCommand(
    withConnection(new Command("search"))
      .description("look for entries, newest first")
      .option("--actor <text>", "part of a user's, key's or device's name")
      .option("--action <name>", "whole, or with * at its end: 'user.*', device.connect")
      .option("--target <text>", "part of what it was done to")
      .option("--outcome <outcome>", "ok, refused or failed")
      .option("--since <time>", "ISO 8601, or back from now: 24h, 14d")
      .option("--until <time>", "ISO 8601, or back from now")
      .option("--limit <n>", "at most so many", "100")
      .option("--json", "print entries as JSON lines")
      .action((options: SearchOptions) => search(options, output)),
  );
  return audit;
}

async function verify({ data, anchor, json }: VerifyOptions, output: Output): Promise<void> {
  const folder = join(data, "audit");
  if (!existsSync(folder))
    throw new TidewireError("DATA_FOLDER_UNUSABLE", { path: data, reason: "it holds no audit log" });
  const anchors = [...anchor.map(anchorOf), ...storedAnchor(data)];
  const verdict = await verifyAudit(readAuditFolder(folder), anchors, (text) =>
    createHash("sha256").update(text).digest("hex"),
  );
  const { entries, files, first, head, fault, unfinished } = verdict;
  if (json === true) output.result(JSON.stringify({ whole: fault === null, ...verdict, anchors: anchors.length }));
  if (fault !== null) throw new TidewireError("AUDIT_DAMAGED", { reason: fault });
  if (json === true) return;
  output.result(`Whole: ${entries} entries in ${files} files, from entry ${first ?? 1} on.`);
  output.result(`Its end is ${anchorText(head).replace(" ", ":")}`);
  output.note("Keep that line on another machine: `--anchor` finds it again, or tells that the log was made anew.");
  if (unfinished) output.note("The last line is half: it is being written just now, or the platform was killed.");
}

function anchorOf(text: string): ChainHead {
  const anchor = parseAnchor(text);
  if (anchor !== null) return anchor;
  throw new TidewireError("REQUEST_INVALID", {
    reason: `--anchor takes SEQUENCE:HASH as \`audit verify\` prints it, not '${text}'`,
  });
}

/** The platform keeps the chain's end in another file. */
function storedAnchor(data: string): readonly ChainHead[] {
  const path = join(data, "people.db");
  if (!existsSync(path)) return [];
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  try {
    const row = database.prepare("SELECT value FROM facts WHERE name = 'audit-anchor'").get();
    const anchor = parseAnchor((row?.["value"] as string | undefined) ?? null);
    return anchor === null ? [] : [anchor];
  } finally {
    database.close();
  }
}

async function search(options: SearchOptions, output: Output): Promise<void> {
  const client = clientOf(options);
  const names = ["actor", "action", "target", "outcome", "since", "until"] as const;
  const wanted = Number(options.limit);
  const entries: AuditEntryView[] = [];
  let before: number | null = null;
  do {
    const query = new URLSearchParams({ limit: String(Math.min(wanted - entries.length, 1_000)) });
    for (const name of names) if (options[name] !== undefined) query.set(name, options[name]);
    if (before !== null) query.set("before", String(before));
    const page: AuditPageView = await client.get<AuditPageView>(`/api/audit?${query}`);
    entries.push(...page.entries);
    before = page.before;
  } while (before !== null && entries.length < wanted);
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
