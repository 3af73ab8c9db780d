/** External functions: asked before a statement is evaluated, so that evaluating stays synchronous. */
import { encodeUtf8, reasonOf } from "../base/mod.ts";
import { EXTERNAL_LIMITS } from "./external.ts";
import type { AskedCall, ExternalName } from "./external.ts";
import type { SqlFunction } from "./functions/function.ts";
import type { SqlInput } from "./input.ts";
import { AnsweredInput } from "./scope.ts";
import type { Evaluate } from "./scope.ts";
import type { SqlValue } from "./value.ts";

/** One call of one statement or template. Its identity is the key of its answer. */
export interface ExternalCall {
  readonly name: ExternalName;
  readonly external: NonNullable<SqlFunction["external"]>;
  readonly args: readonly Evaluate[];
  readonly star: boolean;
  /** Its arguments may depend on the answers of calls before it. */
  readonly waits: boolean;
  readonly of: string | null;
}

export class Externals {
  readonly #calls: ExternalCall[] = [];

  get calls(): readonly ExternalCall[] {
    return this.#calls;
  }

  get asked(): AskedCall[] {
    return this.#calls.map(({ name, of }) => ({ name, of }));
  }

  add(call: ExternalCall): void {
    this.#calls.push(call);
  }

  /**
   * The message with all answers, to be evaluated in its place; null where nothing is to be asked. Never rejects: a call
   * that fails is Undefined, and why is noted.
   */
  prepare(input: SqlInput): Promise<SqlInput> | null {
    if (this.#calls.length === 0) return null;
    return this.#answered(input.answers === undefined ? new AnsweredInput(input) : input);
  }

  async #answered(input: SqlInput): Promise<SqlInput> {
    await Promise.all(this.#calls.filter(({ waits }) => !waits).map((call) => answer(call, input)));
    for (const call of this.#calls) if (call.waits) await answer(call, input);
    return input;
  }
}

async function answer(call: ExternalCall, input: SqlInput): Promise<void> {
  const answers = input.answers!;
  if (answers.has(call)) return;
  const note = (why: string): void => input.note?.(`${call.name}(): ${why}`);
  const { name, external, star } = call;
  const args = call.args.map((arg) => arg(input));
  const request = external.request(args, input, star);
  if (request === null) return;
  try {
    const asked = input.environment?.external?.(request);
    if (asked === undefined) return note("this platform has nothing that answers it");
    const value = await asked;
    if (value === undefined) return note("there is no answer");
    if (encodeUtf8(JSON.stringify(value)).length > EXTERNAL_LIMITS[name].bytesMax) {
      return note(`the answer is larger than ${EXTERNAL_LIMITS[name].bytesMax} bytes`);
    }
    answers.set(call, external.answer(value, args));
  } catch (error) {
    note(reasonOf(error));
  }
}

export function answerOf(call: ExternalCall, input: SqlInput): SqlValue {
  return input.answers?.get(call);
}
