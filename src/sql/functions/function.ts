import type { ExternalName, ExternalRequest } from "../external.ts";
import type { SqlInput } from "../input.ts";
import type { Expression } from "../tree.ts";
import type { SqlJson, SqlValue } from "../value.ts";
import type { SqlVersion } from "../version.ts";

/** One function of the SQL. A file of this folder exports one; `registry.ts` lists them. */
export interface SqlFunction {
  /** As documented; calls are found whatever their case. Also the output key of an item without AS. */
  readonly name: string;
  /** Heading of the reference. */
  readonly group: FunctionGroup;
  /** The version that brought it; all have it where this is missing. */
  readonly since?: "2016-03-23";
  /** For messages and the reference: `get(collection, key)`. */
  readonly signature: string;
  /** One sentence for the reference. */
  readonly summary: string;
  /** Expression and its value as JSON, or "Undefined". The tests evaluate each one; the reference prints them. */
  readonly examples: readonly (readonly [expression: string, result: string])[];
  readonly argsMin: number;
  readonly argsMax: number;
  /** False where the result depends on the message or the environment, not only on the arguments. */
  readonly pure: boolean;
  /** Arguments that are read while compiling, and so are never `@variables`: roles and modes. From 0; -1 is the last. */
  readonly fixedArguments?: readonly number[];
  /** What is wrong with arguments that can never work; null where nothing is. */
  check?(args: readonly Expression[], version: SqlVersion): ArgumentFault | null;
  /** Must not throw and must not change its arguments. Bad arguments give Undefined, as in AWS IoT. */
  call(args: readonly SqlValue[], input: SqlInput, site: CallSite): SqlValue;
  /** Where `*` may be an argument: which one, and the call with it (`args` has Undefined there). */
  readonly star?: { readonly argument: number; call(args: readonly SqlValue[], input: SqlInput): SqlValue };
  /** An external function: what is asked for, and what is made of the answer. `call` is not used. */
  readonly external?: {
    readonly name: ExternalName;
    /** Null where the arguments ask for nothing. */
    request(args: readonly SqlValue[], input: SqlInput, star: boolean): ExternalRequest | null;
    answer(value: SqlJson, args: readonly SqlValue[]): SqlValue;
  };
}

export type FunctionGroup =
  | "math"
  | "bits"
  | "string"
  | "hash"
  | "encoding"
  | "type"
  | "time"
  | "message"
  | "array"
  | "external";

export interface ArgumentFault {
  /** Which argument, counted from 0. */
  readonly argument: number;
  readonly reason: string;
  readonly hint: string | null;
}

/** One place in a statement where a function is called. */
export class CallSite {
  readonly version: SqlVersion;
  #key: string | null = null;
  #made: unknown = null;

  constructor(version: SqlVersion) {
    this.version = version;
  }

  /** What was made of the last key: a pattern is the same in nearly every call. */
  remember<T>(key: string, make: (key: string) => T): T {
    if (this.#key !== key) {
      this.#made = make(key);
      this.#key = key;
    }
    return this.#made as T;
  }
}

/** The text of an argument that is written as one; null where it is computed. */
export function literalText(args: readonly Expression[], argument: number): string | null {
  const expression = args[argument];
  return expression?.kind === "literal" && typeof expression.value === "string" ? expression.value : null;
}
