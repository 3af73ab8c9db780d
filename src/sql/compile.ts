/** A statement, compiled once per rule. */
import type { JsonValue } from "../base/mod.ts";
import { Externals } from "./answers.ts";
import type { AskedCall, ExternalName } from "./external.ts";
import { compileExpression, compileSelect, isWholePayload } from "./expressions.ts";
import type { SqlInput } from "./input.ts";
import { parseSql } from "./parser.ts";
import { Budget, Variables } from "./scope.ts";
import type { CompileContext } from "./scope.ts";
import { toBoolean } from "./value.ts";
import { DEFAULT_SQL_VERSION, isFirstVersion } from "./version.ts";
import type { SqlVersion } from "./version.ts";
import { compileWindows } from "./window-compile.ts";
import type { WindowPlan } from "./window-plan.ts";

export type SqlOutcome =
  | { readonly matched: true; readonly value: JsonValue | Uint8Array }
  /** `undecided`: WHERE was Undefined, e.g. because a key is missing; that says nothing about the condition. */
  | { readonly matched: false; readonly undecided: boolean };

export interface CompiledSql {
  /** MQTT topic filter after FROM; the caller routes by it, `evaluate` does not look at it again. */
  readonly filter: string;
  readonly text: string;
  readonly version: SqlVersion;
  /** Every message as it is: `SELECT *` or `SELECT VALUE *` without a condition. */
  readonly takesAll: boolean;
  /** What is selected is the payload: `SELECT *` or `SELECT VALUE *`, with numbers as version 2016-03-23 has them. */
  readonly takesWhole: boolean;
  /** Those of SET, for `compileTemplate(text, sql)`. */
  readonly variables: Variables;
  /** What the statement needs beside the message; null where nothing. Else `evaluate`, `test` and `select` know nothing. */
  readonly windows: WindowPlan | null;
  /** External functions that it calls; empty for nearly all statements. */
  readonly externals: readonly ExternalName[];
  /** The same, each call with what it asks. */
  readonly asked: readonly AskedCall[];
  /** Whether `prepare` would ask anything about this message. */
  asks(input: SqlInput): boolean;
  /**
   * Asks the external functions. Null where there is nothing to ask, because there are none or WHERE says no without
   * them; else the message with its answers, to be evaluated in the message's place. Never rejects.
   */
  prepare(input: SqlInput): Promise<SqlInput> | null;
  evaluate(input: SqlInput): SqlOutcome;
  /** WHERE alone; undefined where undecided. Cheaper than `evaluate` for those who need no value. */
  test(input: SqlInput): boolean | undefined;
  /** SELECT alone, for those who have tested already. */
  select(input: SqlInput): JsonValue | Uint8Array;
}

export interface CompileOptions {
  /** `awsIotSqlVersion` of the rule. */
  readonly version?: SqlVersion;
  /**
   * What becomes of numbers of more digits than a double has. `double` (the default): the nearest double, for whoever
   * computes with the result. `exact`: an object that `JSON.stringify` prints as the number, with all its digits.
   */
  readonly numbers?: "double" | "exact";
}

/** Parses and compiles a statement. Throws `SqlError`. */
export function compileSql(text: string, options: CompileOptions = {}): CompiledSql {
  const { version = DEFAULT_SQL_VERSION, numbers = "double" } = options;
  const statement = parseSql(text, { version });
  const context = newContext(version, new Variables(), numbers === "double");
  for (const { name, value } of statement.variables) context.variables.add(name, compileExpression(value, context));
  const windows = compileWindows(text, statement, context);
  if (windows !== null) return withState(text, statement.filter, context, windows);
  const where = statement.where === null ? null : compileExpression(statement.where, context);
  const first = context.externals.calls.length > 0;
  const select = compileSelect(statement.select, context) as (input: SqlInput) => JsonValue | Uint8Array;
  const decide = (input: SqlInput): boolean | undefined => (where === null ? true : toBoolean(where(input)));
  const test = refilling(context.budget, decide);
  const asks = (input: SqlInput): boolean => context.externals.calls.length > 0 && (first || test(input) === true);
  return {
    filter: statement.filter,
    text,
    version,
    takesAll: where === null && isWholePayload(statement.select),
    takesWhole: isWholePayload(statement.select) && !isFirstVersion(version),
    variables: context.variables,
    windows: null,
    externals: [...new Set(context.externals.calls.map(({ name }) => name))],
    asked: context.externals.asked,
    asks,
    prepare: (input) => (asks(input) ? context.externals.prepare(input) : null),
    test,
    select: refilling(context.budget, select),
    evaluate(input) {
      const verdict = test(input);
      if (verdict !== true) return { matched: false, undecided: verdict === undefined };
      return { matched: true, value: select(input) };
    },
  };
}

/** Without its runtime such a statement says nothing about a message. */
function withState(text: string, filter: string, context: CompileContext, windows: WindowPlan): CompiledSql {
  return {
    filter,
    text,
    version: context.version,
    takesAll: false,
    takesWhole: false,
    variables: context.variables,
    windows,
    externals: [],
    asked: [],
    asks: () => false,
    prepare: () => null,
    test: () => undefined,
    select: () => "",
    evaluate: () => ({ matched: false, undecided: true }),
  };
}

export function newContext(version: SqlVersion, variables: Variables, doubles: boolean): CompileContext {
  return { version, variables, budget: new Budget(), inRows: false, externals: new Externals(), doubles };
}

/** Only a statement with nested SELECTs pays for a budget. */
export function refilling<T>(budget: Budget, evaluate: (input: SqlInput) => T): (input: SqlInput) => T {
  if (!budget.used) return evaluate;
  return (input) => {
    budget.refill();
    return evaluate(input);
  };
}
