/** `tidewire export`: what is stored of a range of time, as a file or a stream. Schedules: `exports` in the configuration. */
import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, Option } from "commander";
import type { ColdPlace } from "../adapters/objects/mod.ts";
import { systemScheduler } from "../adapters/system.ts";
import { LIMITS, TidewireError, isObjectKey, reasonOf } from "../base/mod.ts";
import type { EpochMs, Millis } from "../base/mod.ts";
import { EXPORTED, exportStatement } from "../cloud/ask/export-statement.ts";
import type { Exported } from "../cloud/ask/export-statement.ts";
import { clientOf, withConnection } from "./connection.ts";
import { optionFault } from "./option-fault.ts";
import type { Output } from "./output.ts";
import { toFile, toStandardOutput } from "./query.ts";
import { agoOf, durationOption } from "./time-options.ts";

const FORMATS = ["csv", "ndjson", "parquet"] as const;

interface Options {
  readonly url?: string;
  readonly token?: string;
  readonly data: string;
  readonly from?: EpochMs;
  readonly to?: EpochMs;
  readonly thing: readonly string[];
  readonly measurement: readonly string[];
  readonly format: (typeof FORMATS)[number];
  readonly output?: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly credentials?: string;
  readonly timeout: Millis;
}

const HELP = `
telemetry has time, thing, measurement, field, type, value, text; docs/reference/query.md lists all columns. A file or an object appears
when it is whole. On schedule: \`exports\` in the configuration (docs/reference/configuration.md).`;

export function exportCommand(output: Output): Command {
  return withConnection(new Command("export"))
    .description("write what is stored as CSV, NDJSON or Parquet")
    .addArgument(new Command().createArgument("[relation]", "what is written").choices(EXPORTED).default("telemetry"))
    .option(
      "--from <when>",
      "the beginning: 3d ago, or a time (2026-12-31T08:00Z) (default: the first there is)",
      agoOf,
    )
    .option("--to <when>", "the end, itself left out: likewise (default: now)", agoOf)
    .option("--thing <name>", "only of this thing, * for any part of a name; may be repeated", collect, [])
    .option("--measurement <name>", "only of this measurement, likewise (not of events)", collect, [])
    .addOption(new Option("--format <format>", "how it is written").choices(FORMATS).default("ndjson"))
    .option("--output <file>", "write into this file, or to s3://BUCKET/KEY")
    .option("--endpoint <url>", "server of the bucket (default: AWS_ENDPOINT_URL, or AWS itself)")
    .option("--region <name>", "of the bucket (default: AWS_REGION, or us-east-1)")
    .option("--credentials <file>", "as ~/.aws/credentials (default: from the environment)")
    .addOption(durationOption("--timeout", "it is stopped after this; at most 30m", "30m"))
    .addHelpText("after", HELP)
    .action((relation: Exported, options: Options) => exportRelation(relation, options, output));
}

async function exportRelation(relation: Exported, options: Options, output: Output): Promise<void> {
  const { from, to, thing, measurement, format, timeout } = options;
  if (format === "parquet" && options.output === undefined && process.stdout.isTTY) {
    throw wrong("--format", "Parquet is no text for a terminal; add --output FILE");
  }
  if (relation === "events" && measurement.length > 0) throw wrong("--measurement", "events have none");
  const bucket = options.output?.startsWith("s3://") === true ? bucketOf(options) : null;
  const range = { from: isoOf(from), to: isoOf(to), things: thing, measurements: measurement };
  const request = { ...exportStatement(relation, range), format, timeout: `${timeout}ms` };
  const answer = await clientOf(options).stream("/api/query", request);
  if (answer.headers["x-tidewire-incomplete"] !== undefined) {
    output.note(
      "Files that should have been read are damaged: the export is incomplete. The platform's health says more.",
    );
  }
  if (bucket !== null) await toBucket(answer, bucket);
  else if (options.output === undefined) await toStandardOutput(answer);
  else await toFile(answer, options.output);
}

interface InBucket {
  readonly place: Extract<ColdPlace, { kind: "s3" }>;
  readonly key: string;
}

function bucketOf({ output, endpoint, region, credentials }: Options): InBucket {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/.exec(output!);
  if (match === null || !isObjectKey(match[2]!))
    throw wrong("--output", "it must be s3://BUCKET/KEY, the key of A-Z a-z 0-9 _ = . - and /");
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION } = process.env;
  const at = region ?? AWS_REGION ?? "us-east-1";
  const server = endpoint ?? AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL ?? `https://s3.${at}.amazonaws.com`;
  if (!/^https?:\/\/[^/@]+\/?$/.test(server))
    throw wrong("--endpoint", "it must be an http:// or https:// URL without a path");
  const place = { kind: "s3", endpoint: server, region: at, bucket: match[1]!, prefix: "", ca: null } as const;
  return { place: { ...place, credentials: credentials ?? null }, key: match[2]! };
}

/** An upload that is tried again reads it again, so it lies in a file meanwhile. */
async function toBucket(answer: IncomingMessage, { place, key }: InBucket): Promise<void> {
  const { openObjects, spool } = await import("../adapters/objects/mod.ts");
  const folder = await mkdtemp(join(tmpdir(), "tidewire-export-"));
  try {
    const objects = await openObjects(place, LIMITS.archive, { scheduler: systemScheduler });
    let bytes = 0;
    answer.on("data", (chunk: Uint8Array) => (bytes += chunk.length));
    const source = await spool(answer, join(folder, "export")).catch((error: unknown) => {
      throw new TidewireError("ANSWER_BROKEN_OFF", { bytes, reason: reasonOf(error) }, { cause: error });
    });
    try {
      await objects.put(key, source);
    } finally {
      await source.remove();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function isoOf(time: EpochMs | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString();
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

function wrong(key: string, reason: string): TidewireError {
  return optionFault("export", key, reason);
}
