/** Functions that rules call: an HTTP endpoint, or a program. One that fails again and again is left alone for a while. */
import { join } from "node:path";
import { FunctionProgram } from "../../adapters/answers/function-program.ts";
import type { Clock, JsonValue, Limits, Millis } from "../../base/mod.ts";
import { encodeUtf8, parseJson, LIMITS } from "../../base/mod.ts";
import type { OutgoingHttp } from "../../rules/mod.ts";
import type { FunctionConfig } from "./config.ts";

export type Payload = JsonValue | Uint8Array;

/** Undefined where it answers nothing. Rejects where it fails. */
export interface Callable {
  call(payload: Payload, timeout: Millis): Promise<JsonValue | undefined>;
  close(): void;
}

type AnswerLimits = Limits["answers"];

export interface FunctionPorts {
  readonly http: OutgoingHttp;
  readonly clock: Clock;
  readonly programs: string;
  readonly limits: AnswerLimits;
}

export function openFunction(config: FunctionConfig, ports: FunctionPorts): Callable {
  return new Guarded(bare(config, ports), ports);
}

function bare(config: FunctionConfig, { http, programs, limits }: FunctionPorts): Callable {
  const { functionAnswerBytesMax: answerBytesMax } = limits;
  if ("program" in config) {
    return new FunctionProgram({
      path: join(programs, config.program),
      arguments: config.arguments,
      answerBytesMax,
    });
  }
  const { url, headers } = config;
  return {
    close: () => {},
    async call(payload, timeout) {
      const isBytes = payload instanceof Uint8Array;
      const type = { "content-type": isBytes ? "application/octet-stream" : "application/json" };
      const body = isBytes ? payload : encodeUtf8(JSON.stringify(payload));
      const request = { url, headers: { ...type, ...headers }, body, timeout, answerBytesMax: answerBytesMax + 1 };
      const answer = await http.post(request);
      if (answer.status < 200 || answer.status > 299) throw new Error(`it answered with ${answer.status}`);
      if (answer.body.trim() === "") return undefined;
      const bytes = encodeUtf8(answer.body);
      if (bytes.length > answerBytesMax) throw new Error(`its answer has more than ${answerBytesMax} bytes`);
      const json = parseJson(bytes, LIMITS.rules);
      if (!json.ok) throw new Error("its answer is not JSON");
      return json.value;
    },
  };
}

/** Bounds how much is asked at once, and how long a dead function can hold up the rules that call it. */
class Guarded implements Callable {
  readonly #inner: Callable;
  readonly #clock: Clock;
  readonly #limits: AnswerLimits;
  #inflight = 0;
  /** Bounded by the lines of rules, which ask about a few messages at once. */
  readonly #waiting: (() => void)[] = [];
  #failures = 0;
  #pausedUntil: Millis = 0;

  constructor(inner: Callable, { clock, limits }: FunctionPorts) {
    this.#inner = inner;
    this.#clock = clock;
    this.#limits = limits;
  }

  async call(payload: Payload, timeout: Millis): Promise<JsonValue | undefined> {
    const until = this.#clock.monotonic() + timeout;
    if (this.#inflight < this.#limits.functionInflightMax) this.#inflight++;
    else await new Promise<void>((go) => this.#waiting.push(go));
    try {
      const left = until - this.#clock.monotonic();
      if (left <= 0) throw new Error("too many other requests were before it");
      const pause = this.#pausedUntil - this.#clock.monotonic();
      if (pause > 0) throw new Error(`it has failed ${this.#failures} times in a row and is left alone for a while`);
      return await this.#counted(payload, left);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#inflight--;
      else next();
    }
  }

  close(): void {
    this.#inner.close();
  }

  async #counted(payload: Payload, timeout: Millis): Promise<JsonValue | undefined> {
    const { functionFailuresMax, functionPauseMin, functionPauseMax } = this.#limits;
    try {
      const answer = await this.#inner.call(payload, timeout);
      this.#failures = 0;
      return answer;
    } catch (error) {
      const beyond = ++this.#failures - functionFailuresMax;
      if (beyond >= 0) {
        const pause = Math.min(functionPauseMax, functionPauseMin * 2 ** Math.min(beyond, 16));
        this.#pausedUntil = this.#clock.monotonic() + pause;
      }
      throw error;
    }
  }
}
