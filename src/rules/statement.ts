/** A rule's SQL, compiled as its version says; numbers leave it with all their digits. */
import { compileSql } from "../sql/mod.ts";
import type { CompiledSql } from "../sql/mod.ts";
import type { RuleDraft } from "./model.ts";

/** Throws `SqlError`. */
export function statementOf({ sql, awsIotSqlVersion }: Pick<RuleDraft, "sql" | "awsIotSqlVersion">): CompiledSql {
  return compileSql(sql, {
    numbers: "exact",
    ...(awsIotSqlVersion === undefined ? {} : { version: awsIotSqlVersion }),
  });
}
