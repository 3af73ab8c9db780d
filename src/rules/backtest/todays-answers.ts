/**
 * Answers to what rules ask about messages that were. They are today's, not those of then, so who shows a result says so. The same
 * question has the same answer throughout, and a source that fails is left alone.
 */
import type { JsonValue } from "../../base/mod.ts";
import type { ExternalName, ExternalRequest, SqlEnvironment } from "../../sql/mod.ts";
import { keyOf } from "../asking/asking.ts";
import type { Asking } from "../input.ts";

/** What is merely looked up. A function may do something, and a secret would be shown. */
export const LOOKED_UP: readonly ExternalName[] = ["get_thing_shadow", "get_registry_data", "lookup", "get_dynamodb"];

export interface TodaysAnswersOptions {
  readonly environment: SqlEnvironment;
  /** What is asked; all else is Undefined. */
  readonly asked: readonly ExternalName[];
  /** False: each time anew, for messages of the present. */
  readonly kept?: boolean;
}

/** Beyond, what was answered is asked again. */
const KEPT_MAX = 10_000;
/** In a row, each of which may have taken seconds. */
const FAILURES_MAX = 5;

const NOT_ASKED = "it is not asked here";

export class TodaysAnswers {
  readonly #o: TodaysAnswersOptions;
  readonly #kept = new Map<string, Promise<JsonValue | undefined>>();
  /** Bounded by the functions. */
  readonly #failures = new Map<ExternalName, number>();
  readonly #environment: SqlEnvironment;
  #unanswered = 0;
  #reason: string | null = null;

  constructor(options: TodaysAnswersOptions) {
    this.#o = options;
    this.#environment = { ...options.environment, external: (request) => this.#answer(request) };
  }

  asks(name: ExternalName): boolean {
    return this.#o.asked.includes(name) && this.#o.environment.external !== undefined;
  }

  /** For one message. */
  asking(): Asking {
    return { environment: this.#environment, answers: new Map(), note: (reason) => this.#note(reason) };
  }

  /** How often there was none, and why the first time. */
  get unanswered(): { readonly count: number; readonly reason: string | null } {
    return { count: this.#unanswered, reason: this.#reason };
  }

  #note(reason: string): void {
    if (reason.endsWith(NOT_ASKED)) return; // who shows the result says that of the rule, once
    this.#unanswered++;
    this.#reason ??= reason;
  }

  #answer(request: ExternalRequest): Promise<JsonValue | undefined> {
    const { name } = request;
    if (!this.asks(name)) return Promise.reject(new Error(NOT_ASKED));
    const key = this.#o.kept === false ? null : keyOf(request);
    const known = key === null ? undefined : this.#kept.get(key);
    if (known !== undefined) return known;
    const answer = this.#asked(request);
    if (key === null) return answer;
    if (this.#kept.size >= KEPT_MAX) this.#kept.clear();
    this.#kept.set(key, answer);
    return answer;
  }

  async #asked(request: ExternalRequest): Promise<JsonValue | undefined> {
    const { name } = request;
    const failures = this.#failures.get(name) ?? 0;
    if (failures >= FAILURES_MAX) throw new Error(`it has failed ${failures} times in a row and is not asked any more`);
    try {
      const answer = await this.#o.environment.external!(request);
      this.#failures.set(name, 0);
      return answer;
    } catch (error) {
      this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1);
      throw error;
    }
  }
}
