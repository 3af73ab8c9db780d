/** What the platform's words mean to the store. */
import type { FieldName } from "../../telemetry/mod.ts";
import type { SqlVersion } from "../../sql/mod.ts";
import type { StoreRule } from "./protocol.ts";

/** A rule document of the rules room, as far as the store reads it. */
export interface RuleLike {
  readonly ruleName: string;
  readonly sql: string;
  readonly awsIotSqlVersion?: SqlVersion;
  readonly ruleDisabled: boolean;
  readonly fromOffset: number;
  readonly actions: readonly object[];
}

/** One entry per `telemetry` action of an enabled rule. */
export function storeRulesOf(rules: readonly RuleLike[]): StoreRule[] {
  return rules
    .filter(({ ruleDisabled }) => !ruleDisabled)
    .flatMap(({ ruleName, sql, awsIotSqlVersion: version, fromOffset, actions }) =>
      actions.flatMap((action) => {
        const telemetry = "telemetry" in action ? (action.telemetry as { measurement?: string }) : null;
        if (telemetry === null) return [];
        const { measurement } = telemetry;
        return [
          {
            ruleName,
            sql,
            fromOffset,
            ...(version === undefined ? {} : { version }),
            ...(measurement === undefined ? {} : { measurement }),
          },
        ];
      }),
    );
}

/** `measurement/field`; a measurement may contain slashes (`line/4/press`), so the last one divides. */
export function fieldNameOf(text: string): FieldName {
  const slash = text.lastIndexOf("/");
  return { measurement: text.slice(0, Math.max(slash, 0)), field: text.slice(slash + 1) };
}
