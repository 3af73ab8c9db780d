/** What rules may ask, in the configuration file: `secrets`, `tables`, `functions`. */
import { z } from "zod";
import { parsePostgresUrl } from "../../adapters/postgres/server-url.ts";
import { reasonOf } from "../../base/mod.ts";

const Name = z.string().regex(/^[0-9A-Za-z][0-9A-Za-z._/-]{0,127}$/, "a name has letters, digits and . _ - /");
const Path = z.string().min(1).max(4096);
const Column = z.string().min(1).max(128);

/** As `~/.aws`, systemd and containers do it: the configuration says where, and never what. */
const Secret = z.union([
  z.strictObject({ file: Path }),
  z.strictObject({ env: z.string().regex(/^[A-Za-z_][0-9A-Za-z_]*$/, "must be the name of a variable") }),
]);

const PostgresUrl = z.string().superRefine((text, context) => {
  try {
    parsePostgresUrl(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: reasonOf(error) });
  }
});

const Table = z.union([
  z.strictObject({ file: Path, key: Column, sort: Column.optional() }),
  z.strictObject({
    postgres: PostgresUrl,
    table: z.string().regex(/^[^."]{1,63}(\.[^."]{1,63})?$/, "must be the name of a table, or schema.table"),
    key: Column,
    sort: Column.optional(),
  }),
]);

const Function = z.union([
  z.strictObject({
    url: z.url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" }),
    headers: z.record(z.string().regex(/^[0-9A-Za-z-]{1,64}$/), z.string().max(2048)).default({}),
  }),
  z.strictObject({
    program: z.string().regex(/^[0-9A-Za-z_][0-9A-Za-z._-]{0,127}$/, "must be the name of a file of `programs`"),
    arguments: z.array(z.string().max(4096)).max(32).default([]),
  }),
]);

export const SecretsConfigSchema = z.record(Name, Secret);
export const TablesConfigSchema = z.record(Name, Table);
export const FunctionsConfigSchema = z.record(Name, Function);

export type SecretConfig = z.infer<typeof Secret>;
export type TableConfig = z.infer<typeof Table>;
export type FunctionConfig = z.infer<typeof Function>;
