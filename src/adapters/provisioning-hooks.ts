/**
 * Pre-provisioning hooks: an HTTP server that is asked by POST, or a program of the operator's own folder that reads the
 * question as one line of JSON and prints the answer. Both have five seconds.
 */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { LIMITS, encodeUtf8 } from "../base/mod.ts";
import type { HookInput, HookRunner } from "../identity/mod.ts";
import type { OutgoingHttp } from "../rules/mod.ts";

const PROGRAM = /^program:([A-Za-z0-9_-][A-Za-z0-9._-]{0,63})$/;

export interface HooksOptions {
  /** Guards against addresses that nobody may be sent to. */
  readonly http: OutgoingHttp;
  /** Programs may only come from here: who may write into it may run code on this machine anyway. */
  readonly folder: string;
}

export class ProvisioningHooks implements HookRunner {
  readonly #o: HooksOptions;

  constructor(options: HooksOptions) {
    this.#o = options;
  }

  fault(target: string): string | null {
    const program = PROGRAM.exec(target)?.[1];
    if (program === undefined) {
      const isHttp = URL.canParse(target) && /^https?:$/.test(new URL(target).protocol);
      return isHttp ? null : "it must be an https:// address, or program:NAME";
    }
    try {
      accessSync(join(this.#o.folder, program), constants.X_OK);
      return null;
    } catch {
      return `there is no program ${join(this.#o.folder, program)} that this user may run`;
    }
  }

  run(target: string, input: HookInput): Promise<string> {
    const program = PROGRAM.exec(target)?.[1];
    return program === undefined ? this.#post(target, input) : runProgram(join(this.#o.folder, program), input);
  }

  async #post(url: string, input: HookInput): Promise<string> {
    const { hookTimeout: timeout } = LIMITS.provisioning;
    const body = encodeUtf8(JSON.stringify(input));
    const headers = { "content-type": "application/json" };
    const { status, body: answer } = await this.#o.http.post({ url, headers, body, timeout });
    if (status < 200 || status > 299) throw new Error(`it answered ${status}`);
    return answer;
  }
}

function runProgram(path: string, input: HookInput): Promise<string> {
  const { hookTimeout, hookAnswerBytesMax } = LIMITS.provisioning;
  return new Promise((resolve, reject) => {
    const child = spawn(path, [], {
      stdio: ["pipe", "pipe", "ignore"],
      timeout: hookTimeout,
      killSignal: "SIGKILL",
      // Nothing of the platform's own secrets.
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
    });
    let answer = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      answer += text;
      if (answer.length > hookAnswerBytesMax) child.kill("SIGKILL");
    });
    child.stdin.on("error", () => {}); // it may not read
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0 && answer.length <= hookAnswerBytesMax) resolve(answer);
      else
        reject(
          new Error(
            signal === null
              ? `it ended with status ${code ?? "?"}`
              : `it was ended after ${hookTimeout / 1000} s, or said too much`,
          ),
        );
    });
    child.stdin.end(`${JSON.stringify(input)}\n`);
  });
}
