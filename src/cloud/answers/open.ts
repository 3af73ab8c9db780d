/** Opens what the configuration names for rules to ask. */
import { join } from "node:path";
import { FileTable } from "../../adapters/answers/file-table.ts";
import { PostgresTable } from "../../adapters/answers/postgres-table.ts";
import { openProtobufFolder } from "../../adapters/answers/protobuf-folder.ts";
import type { Table } from "../../adapters/answers/table.ts";
import { parsePostgresUrl } from "../../adapters/postgres/server-url.ts";
import { nodeSqlEnvironment } from "../../adapters/sql-environment.ts";
import type { Metrics } from "../../base/mod.ts";
import type { OutgoingHttp } from "../../rules/mod.ts";
import { EXTERNAL_LIMITS } from "../../sql/mod.ts";
import type { SqlEnvironment } from "../../sql/mod.ts";
import type { PlatformConfig } from "../config.ts";
import type { Foundation } from "../foundation.ts";
import type { Teardown } from "../teardown.ts";
import { answersFrom, namedAnswers } from "./answers.ts";
import type { AboutThings, AnswerSources } from "./answers.ts";
import type { TableConfig } from "./config.ts";
import { openFunction } from "./functions.ts";
import { RuleSecrets } from "./secrets.ts";

type Base = Pick<Foundation, "clock" | "scheduler" | "logger" | "metrics" | "registry" | "limits">;

export interface AnswerPorts {
  readonly http: OutgoingHttp;
  readonly shadows: AnswerSources["shadows"];
}

/** What the SQL of rules needs of the world. Throws nothing for a source that is away: its calls are Undefined until it is back. */
export async function openAnswers(
  config: PlatformConfig,
  base: Base,
  { http, shadows }: AnswerPorts,
  teardown: Teardown,
): Promise<SqlEnvironment> {
  const { clock, registry } = base;
  const limits = base.limits.answers;
  const tables = openTables(config, base, teardown);
  const ports = { http, clock, programs: join(config.data, "programs"), limits };
  const functions = new Map(Object.entries(config.functions).map(([name, one]) => [name, openFunction(one, ports)]));
  teardown.add("functions of rules", () => {
    for (const one of functions.values()) one.close();
  });
  const secrets = new RuleSecrets(config.secrets, clock, limits);
  const answers = answersFrom({ registry, shadows, secrets, tables, functions });
  return { ...nodeSqlEnvironment(), ...answers, ...(await protobufOf(config, base)) };
}

type TableBase = Pick<Base, "logger" | "limits"> & { readonly metrics: Metrics };

/** What a configuration file names, for a command: without a platform's upkeep, so a table's file is read once. */
export function openNamedAnswers(
  config: Pick<PlatformConfig, "tables" | "functions" | "secrets"> & { readonly data: string },
  base: TableBase & Pick<Base, "clock">,
  http: OutgoingHttp,
  about: AboutThings | null,
): { readonly external: NonNullable<SqlEnvironment["external"]>; close(): Promise<void> } {
  const { clock } = base;
  const limits = base.limits.answers;
  const ports = { http, clock, programs: join(config.data, "programs"), limits };
  const tables = new Map(Object.entries(config.tables).map(([name, one]) => [name, openTable(name, one, base)]));
  const functions = new Map(Object.entries(config.functions).map(([name, one]) => [name, openFunction(one, ports)]));
  const secrets = new RuleSecrets(config.secrets, clock, limits);
  return {
    external: namedAnswers({ secrets, tables, functions }, about),
    close: async () => {
      for (const one of functions.values()) one.close();
      await Promise.all([...tables.values()].map((table) => table.close()));
    },
  };
}

function openTables(config: PlatformConfig, base: Base, teardown: Teardown): ReadonlyMap<string, Table> {
  const { scheduler } = base;
  const tables = new Map<string, Table>();
  const files: FileTable[] = [];
  for (const [name, one] of Object.entries(config.tables)) {
    const table = openTable(name, one, base);
    tables.set(name, table);
    if (table instanceof FileTable) files.push(table);
  }
  for (const table of files) void table.look();
  const look = (): void => {
    for (const table of files) void table.look();
  };
  if (files.length > 0) teardown.add("tables' files", scheduler.every(base.limits.answers.tableLookPeriod, look));
  teardown.add("tables", async () => {
    await Promise.all([...tables.values()].map((table) => table.close()));
  });
  return tables;
}

function openTable(name: string, config: TableConfig, { logger, metrics, limits }: TableBase): Table {
  const { key, sort = null } = config;
  const { tableBytesMax: bytesMax, tableRowsMax: rowsMax, tableConnectionsMax: connectionsMax } = limits.answers;
  if ("postgres" in config) {
    const { timeout: statementTimeout } = EXTERNAL_LIMITS.lookup;
    const address = parsePostgresUrl(config.postgres);
    return new PostgresTable({ address, table: config.table, key, sort, connectionsMax, statementTimeout });
  }
  const failures = metrics.counter({
    name: "tidewire_table_load_failures_total",
    help: "Times that a table's file could not be read; the rows before stay",
    labels: { table: name },
  });
  const failed = (): void => void failures.value++;
  const table = new FileTable({ name, file: config.file, key, sort, bytesMax, rowsMax, logger, failed });
  const rows = { name: "tidewire_table_rows", help: "Rows of tables that are files", labels: { table: name } };
  metrics.observe(rows, () => table.size);
  return table;
}

async function protobufOf(
  { protobuf: folder }: PlatformConfig,
  { logger, limits }: Base,
): Promise<Pick<SqlEnvironment, "decodeProtobuf">> {
  if (folder === undefined) return {};
  const { descriptorBytesMax: bytesMax, descriptorsMax: filesMax } = limits.answers;
  const decodeProtobuf = await openProtobufFolder({ folder, bytesMax, filesMax });
  if (decodeProtobuf !== null) return { decodeProtobuf };
  logger.error("decode(…, 'proto', …) of rules is Undefined: `npm install protobufjs` beside Tidewire", { folder });
  return {};
}
