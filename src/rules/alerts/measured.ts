/** What a rule's alert measures, and against which numbers: what a chart of it shows. */
import { SqlError, comparisonsIn, comparisonsOf, compileSql, fieldOf } from "../../sql/mod.ts";
import type { Comparison } from "../../sql/mod.ts";
import type { RuleDocument } from "../model.ts";

export interface Measured {
  /** Keys of the payload, as the telemetry names its fields. */
  readonly field: string;
  /** What the topic says after the thing's name; null: it may be any. */
  readonly measurement: string | null;
  /** Numbers that the field is held against when the alert is raised. */
  readonly raise: readonly Pick<Comparison, "operator" | "value">[];
  /** And those that make it well again, where they are others. */
  readonly clear: readonly Pick<Comparison, "operator" | "value">[];
}

/** Null where nothing is measured that could be drawn: silence, texts, a rule that this version cannot read. */
export function measuredBy(rule: RuleDocument): Measured | null {
  const spec = rule.actions.flatMap((action) => ("alert" in action ? [action.alert] : []))[0];
  if (spec === undefined) return null;
  const { sql, awsIotSqlVersion: version } = rule;
  const options = version === undefined ? {} : { version };
  try {
    const compared = comparisonsOf(sql, version);
    const shown = fieldIn(spec.value);
    const field = compared.some((one) => one.field === shown) ? shown! : (compared[0]?.field ?? shown);
    if (field === null) return null;
    const cleared = spec.clearWhen === undefined ? [] : comparisonsIn(spec.clearWhen, options);
    const of = (all: readonly Comparison[]): readonly Comparison[] =>
      all.filter((one) => one.field === field && one.operator !== "<>");
    return {
      field,
      measurement: measurementIn(compileSql(sql, options).filter),
      raise: of(compared),
      clear: of(cleared),
    };
  } catch (error) {
    // Such as a variable of the statement in `clearWhen`.
    if (error instanceof SqlError) return null;
    throw error;
  }
}

/** The field whose value the alert tells; null where that is not plainly one. */
export function toldBy(rule: RuleDocument): Pick<Measured, "field" | "measurement"> | null {
  const spec = rule.actions.flatMap((action) => ("alert" in action ? [action.alert] : []))[0];
  const { sql, awsIotSqlVersion: version } = rule;
  try {
    const field = fieldIn(spec?.value);
    if (field === null) return null;
    const { filter } = compileSql(sql, version === undefined ? {} : { version });
    return { field, measurement: measurementIn(filter) };
  } catch (error) {
    if (error instanceof SqlError) return null;
    throw error;
  }
}

/** `${round(cpu.percent)} %` → `cpu.percent`. */
function fieldIn(template: string | undefined): string | null {
  const expression = /^[^$]*\$\{([^}]*)\}[^$]*$/.exec(template ?? "")?.[1];
  return expression === undefined ? null : fieldOf(expression);
}

/** As the telemetry names what comes on `telemetry/THING/…`. */
function measurementIn(filter: string): string | null {
  const [root, , ...rest] = filter.split("/");
  if (root !== "telemetry" || rest.length === 0 || rest.some((level) => level === "+" || level === "#")) return null;
  return rest.join("/");
}
