import type { SqlInput } from "../input.ts";
import type { SqlValue } from "../value.ts";

/** One function of the SQL. A file of this folder exports one; `registry.ts` lists them. */
export interface SqlFunction {
  /** As documented; calls are found whatever their case. Also the output key of an item without AS. */
  readonly name: string;
  /** For messages and the reference: `get(collection, key)`. */
  readonly signature: string;
  /** One sentence for the reference. */
  readonly summary: string;
  /** Expression and its value as JSON, or "Undefined". The tests evaluate each one; the reference prints them. */
  readonly examples: readonly (readonly [expression: string, result: string])[];
  readonly argsMin: number;
  readonly argsMax: number;
  /** False where the result depends on the message, not only on the arguments. */
  readonly pure: boolean;
  /** Must not throw and must not change its arguments. Bad arguments give Undefined, as in AWS IoT. */
  call(args: readonly SqlValue[], input: SqlInput): SqlValue;
  /** Where `*` may be the first argument: gets the message and the arguments after it. */
  star?(rest: readonly SqlValue[], input: SqlInput): SqlValue;
}
