/**
 * A function that is a program of the operator's `programs` folder. It runs on and answers lines of JSON: `{"id":1,"input":…}` (or
 * `"base64":"…"` where the payload is not JSON) with `{"id":1,"output":…}` or `{"id":1,"error":"…"}`, in any order.
 */
import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { accessSync, constants } from "node:fs";
import type { JsonValue } from "../../base/mod.ts";

export interface FunctionProgramOptions {
  readonly path: string;
  readonly arguments: readonly string[];
  readonly answerBytesMax: number;
}

/** After its input has ended, before it is killed. */
const GRACE_MS = 2_000;

type Settle = (answer: { readonly output: JsonValue | undefined } | Error) => void;

export class FunctionProgram {
  readonly #o: FunctionProgramOptions;
  #running: Running | null = null;

  constructor(options: FunctionProgramOptions) {
    this.#o = options;
  }

  /** Starts it where it does not run. Rejects where it fails, or says nothing in time: then it is started anew the next time. */
  async call(input: JsonValue | Uint8Array, timeout: number): Promise<JsonValue | undefined> {
    const running = (this.#running ??= new Running(this.#o));
    const { heard } = running;
    try {
      return await running.ask(input, timeout);
    } catch (error) {
      // One slow answer among others is no reason to end those.
      if (running.isOver || running.heard === heard) this.#drop(running);
      throw error;
    }
  }

  close(): void {
    if (this.#running !== null) this.#drop(this.#running);
  }

  #drop(running: Running): void {
    if (this.#running === running) this.#running = null;
    running.end();
  }
}

class Running {
  isOver = false;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answerBytesMax: number;
  /** Bounded by who asks. */
  readonly #waiting = new Map<number, Settle>();
  #next = 1;
  #text = "";
  /** How often it has said anything. */
  heard = 0;

  constructor({ path, arguments: given, answerBytesMax }: FunctionProgramOptions) {
    accessSync(path, constants.X_OK); // throws with a reason that says which
    this.#answerBytesMax = answerBytesMax;
    // Nothing of the platform's own secrets.
    const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin" };
    this.#child = spawn(path, [...given], { stdio: ["pipe", "pipe", "pipe"], env });
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => this.#hear(text));
    this.#child.stderr.resume(); // its own log is its own business, and must not fill the pipe
    this.#child.stdin.on("error", (error) => this.#fail(error));
    this.#child.on("error", (error) => this.#fail(error));
    this.#child.on("close", (code, signal) => this.#fail(new Error(`it ended with ${signal ?? `status ${code}`}`)));
  }

  ask(input: JsonValue | Uint8Array, timeout: number): Promise<JsonValue | undefined> {
    const id = this.#next++;
    const asked = input instanceof Uint8Array ? { id, base64: Buffer.from(input).toString("base64") } : { id, input };
    return new Promise((resolve, reject) => {
      const settle: Settle = (answer) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        if (answer instanceof Error) reject(answer);
        else resolve(answer.output);
      };
      const timer = setTimeout(() => settle(new Error(`it gave no answer within ${timeout / 1000} s`)), timeout);
      this.#waiting.set(id, settle);
      this.#child.stdin.write(`${JSON.stringify(asked)}\n`);
    });
  }

  end(): void {
    this.#fail(new Error("it was ended"));
    this.#child.stdin.end();
    const kill = setTimeout(() => this.#child.kill("SIGKILL"), GRACE_MS);
    this.#child.on("close", () => clearTimeout(kill));
  }

  #fail(reason: Error): void {
    this.isOver = true;
    for (const settle of this.#waiting.values()) settle(reason);
  }

  #hear(text: string): void {
    this.heard++;
    this.#text += text;
    let end: number;
    while ((end = this.#text.indexOf("\n")) >= 0) {
      this.#answer(this.#text.slice(0, end));
      this.#text = this.#text.slice(end + 1);
    }
    if (this.#text.length <= this.#answerBytesMax) return;
    this.#text = "";
    this.#fail(new Error(`it said a line of more than ${this.#answerBytesMax} characters`));
  }

  /** What is not an answer is its own talk. */
  #answer(line: string): void {
    let said: { id?: unknown; output?: JsonValue; error?: unknown } | null;
    try {
      said = JSON.parse(line) as typeof said;
    } catch {
      return;
    }
    const { id, output, error } = said ?? {};
    const settle = typeof id === "number" ? this.#waiting.get(id) : undefined;
    if (error === undefined || error === null) return settle?.({ output });
    const reason = typeof error === "string" ? error : JSON.stringify(error);
    settle?.(new Error(reason.slice(0, 300)));
  }
}
