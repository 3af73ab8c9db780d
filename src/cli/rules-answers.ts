/** Answers to what a rule asks, for commands: from a configuration file, and from a platform that runs. */
import { readConfigFile } from "../adapters/config-file.ts";
import { NodeOutgoingHttp } from "../adapters/outgoing-http.ts";
import { nodeSqlEnvironment } from "../adapters/sql-environment.ts";
import { systemClock } from "../adapters/system.ts";
import { LIMITS } from "../base/mod.ts";
import type { JsonValue, Logger, Metrics } from "../base/mod.ts";
import { LOOKED_UP, TodaysAnswers } from "../rules/mod.ts";
import type { ExternalName } from "../sql/mod.ts";
import type { AboutThings } from "../cloud/answers/mod.ts";
import type { PlatformConfig } from "../cloud/mod.ts";
import { clientOf } from "./connection.ts";
import type { Output } from "./output.ts";
import type { ConnectionOptions } from "./rule-source.ts";

export interface AnswerOptions {
  /** Configuration file of a platform. */
  readonly config?: string;
  readonly data?: string;
  /** A platform that may be asked; null: none is. */
  readonly platform: ConnectionOptions | null;
  /** What is asked beside what is looked up. */
  readonly also: readonly ExternalName[];
  /** The same question has the same answer; not where time goes on. */
  readonly kept: boolean;
}

export interface OpenAnswers {
  readonly answers: TodaysAnswers;
  close(): Promise<void>;
}

/** Throws CONFIG_*. Nothing is asked before a rule does. */
export async function openAnswers(options: AnswerOptions, command: string, output: Output): Promise<OpenAnswers> {
  const { config: file, platform, also, kept } = options;
  const { PlatformConfigSchema } = await import("../cloud/mod.ts");
  const { openNamedAnswers } = await import("../cloud/answers/mod.ts");
  const given: Partial<PlatformConfig> = file === undefined ? {} : readConfigFile(file, PlatformConfigSchema, command);
  const named = { tables: {}, functions: {}, secrets: {}, ...given, data: options.data ?? given.data ?? "." };
  const http = new NodeOutgoingHttp();
  const base = { clock: systemClock, logger: told(output), metrics: UNCOUNTED, limits: LIMITS };
  const open = openNamedAnswers(named, base, http, platform === null ? null : askingPlatform(platform));
  const ofFile: readonly ExternalName[] = file === undefined ? [] : ["lookup", "get_dynamodb", ...also];
  const ofPlatform = LOOKED_UP.filter(
    (name) => platform !== null && !ofFile.includes(name) && name.startsWith("get_thing"),
  );
  const registry: readonly ExternalName[] = platform === null ? [] : ["get_registry_data"];
  const asked = [...ofFile, ...ofPlatform, ...registry];
  return {
    answers: new TodaysAnswers({ environment: { ...nodeSqlEnvironment(), external: open.external }, asked, kept }),
    close: async () => {
      await open.close();
      http.close();
    },
  };
}

/** Shadows and registry by the API of the platform that runs. */
function askingPlatform(options: ConnectionOptions): AboutThings {
  return (request) => {
    const thing = `/things/${encodeURIComponent(request.thing)}`;
    const client = clientOf(options);
    if (request.name === "get_registry_data")
      return client.get<JsonValue>(request.api === "DescribeThing" ? thing : `${thing}/thing-groups`);
    const name = request.shadow ?? "";
    return client.get<JsonValue>(`${thing}/shadow${name === "" ? "" : `?name=${encodeURIComponent(name)}`}`);
  };
}

const UNCOUNTED: Metrics = { counter: () => ({ value: 0 }), gauge: () => ({ value: 0 }), observe: () => {} };

/** A table that cannot be read is told; nothing else is. */
function told(output: Output): Logger {
  const note = (message: string, fields: object = {}): void => {
    const { reason } = fields as { readonly reason?: unknown };
    output.note(typeof reason === "string" ? `${message}: ${reason}` : message);
  };
  const logger: Logger = { debug() {}, info() {}, warn: note, error: note, child: () => logger };
  return logger;
}
