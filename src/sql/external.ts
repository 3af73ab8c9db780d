/** Calls that need the outside: listed when a statement is compiled, answered before it is evaluated. */
import type { Millis } from "../base/mod.ts";
import { minutes, seconds } from "../base/mod.ts";
import type { SqlJson } from "./value.ts";

export type ExternalRequest =
  | { readonly name: "get_thing_shadow"; readonly thing: string; readonly shadow: string | null; readonly role: string }
  | { readonly name: "get_registry_data"; readonly api: string; readonly thing: string; readonly role: string }
  | {
      readonly name: "get_secret";
      readonly secret: string;
      readonly type: "SecretString" | "SecretBinary";
      readonly role: string;
    }
  | {
      readonly name: "aws_lambda" | "function";
      readonly function: string;
      readonly payload: SqlJson | Uint8Array;
    }
  | { readonly name: "lookup"; readonly table: string; readonly key: SqlJson }
  | {
      readonly name: "get_dynamodb";
      readonly table: string;
      /** Partition key, and sort key where the table has one. */
      readonly key: Readonly<Record<string, SqlJson>>;
      readonly role: string;
    }
  | {
      readonly name: "machinelearning_predict";
      readonly model: string;
      readonly record: SqlJson;
      readonly role: string;
    };

export type ExternalName = ExternalRequest["name"];

/** One call as it is written, for whoever says whether it can be answered here. */
export interface AskedCall {
  readonly name: ExternalName;
  /** The literal that says what is asked: a function, table, secret, thing or API; null where it is computed. */
  readonly of: string | null;
}

/** Why nothing here answers a call, and what would help. */
export interface Unanswerable {
  readonly reason: string;
  readonly fix: string;
}

/** AWS IoT's own numbers (gotchas 8 and 9), for whoever implements the port. */
export const EXTERNAL_LIMITS: Readonly<
  Record<ExternalName, { readonly timeout: Millis; readonly cachedFor: Millis; readonly bytesMax: number }>
> = {
  get_thing_shadow: { timeout: seconds(2), cachedFor: 0, bytesMax: 128 * 1024 },
  get_registry_data: { timeout: seconds(2), cachedFor: 0, bytesMax: 128 * 1024 },
  get_secret: { timeout: seconds(2), cachedFor: minutes(15), bytesMax: 64 * 1024 },
  aws_lambda: { timeout: seconds(2), cachedFor: 0, bytesMax: 128 * 1024 },
  function: { timeout: seconds(2), cachedFor: 0, bytesMax: 128 * 1024 },
  lookup: { timeout: seconds(2), cachedFor: 0, bytesMax: 8 * 1024 },
  get_dynamodb: { timeout: seconds(2), cachedFor: 0, bytesMax: 8 * 1024 },
  machinelearning_predict: { timeout: seconds(2), cachedFor: 0, bytesMax: 128 * 1024 },
};
