/** What can be known of a call before there is a message. */
import type { SqlFault } from "./error.ts";
import type { SqlFunction } from "./functions/function.ts";
import type { CastType, Expression } from "./tree.ts";
import { isFirstVersion } from "./version.ts";
import type { SqlVersion } from "./version.ts";
import type { WindowFunction } from "./window-functions.ts";

export const CAST_TYPES: Readonly<Record<string, CastType>> = {
  STRING: "string",
  NVARCHAR: "string",
  TEXT: "string",
  NTEXT: "string",
  VARCHAR: "string",
  INT: "int",
  INTEGER: "int",
  DOUBLE: "decimal",
  DECIMAL: "decimal",
  BOOL: "boolean",
  BOOLEAN: "boolean",
};

export interface CallPlace {
  /** Where the name stands. */
  readonly at: number;
  readonly version: SqlVersion;
  /** Inside of a nested SELECT. */
  readonly inRows: boolean;
  /** The statement has a get_dynamodb() already. */
  readonly hasTable: boolean;
}

/** Why the call can never work; null where it may. */
export function callFault(
  spec: SqlFunction | WindowFunction,
  args: readonly Expression[],
  place: CallPlace,
): SqlFault | null {
  const { at, version } = place;
  if (args.length < spec.argsMin || args.length > spec.argsMax) {
    const reason = `${spec.name}() takes ${arity(spec)}, not ${args.length}`;
    return { position: at, reason, hint: `It is ${spec.signature}.` };
  }
  if ("of" in spec) return null; // of a window: `window-compile.ts` knows more
  if (spec.since !== undefined && isFirstVersion(version)) {
    const reason = `${spec.name}() is not part of version ${version}`;
    return { position: at, reason, hint: "Set awsIotSqlVersion to 2016-03-23." };
  }
  const fixed = (spec.fixedArguments ?? []).map((argument) => args.at(argument));
  const variable = fixed.find((argument) => argument?.kind === "variable");
  if (variable !== undefined) {
    const reason = `argument ${args.indexOf(variable) + 1} of ${spec.name}() cannot be a variable`;
    return { position: variable.at, reason, hint: "Roles and modes are written where they are used." };
  }
  const fault = spec.check?.(args, version) ?? null;
  if (fault !== null) return { position: args[fault.argument]!.at, reason: fault.reason, hint: fault.hint };
  return spec.external === undefined ? null : externalFault(spec, place);
}

function externalFault(spec: SqlFunction, { at, inRows, hasTable }: CallPlace): SqlFault | null {
  if (inRows) {
    const hint = "Ask once with SET @answer = …, and use @answer inside.";
    return { position: at, reason: `${spec.name}() cannot stand inside of a nested SELECT`, hint };
  }
  if (spec.name !== "get_dynamodb" || !hasTable) return null;
  const hint = "AWS IoT drops such a rule without a word. Use SET @row = get_dynamodb(…).";
  return { position: at, reason: "get_dynamodb() may be called once per statement", hint };
}

function arity(spec: Pick<SqlFunction, "argsMin" | "argsMax">): string {
  const { argsMin, argsMax } = spec;
  const noun = (n: number): string => `${n === 0 ? "no" : n} argument${n === 1 ? "" : "s"}`;
  if (argsMin === argsMax) return noun(argsMin);
  return argsMax === Infinity ? `at least ${noun(argsMin)}` : `${argsMin} to ${noun(argsMax)}`;
}
