/**
 * A program of the operator's `programs` folder that runs on and reads JSON lines: `{"id":…,"topic":…,"data":…}`. It is started
 * with the first batch; when it ends, hangs or talks too much, it is ended, and the room's backoff decides when it is started again.
 */
import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { kib, reasonOf } from "../../base/mod.ts";
import { DONE, dead, deliveryFails } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender, Verdict } from "../../rules/mod.ts";
import { Link } from "./link.ts";

interface ProgramSettings {
  readonly name: string;
  readonly arguments: readonly string[];
  readonly acknowledges: boolean;
}

/** Of what it answers to one line. */
const ANSWER_CHARS_MAX = kib(64);
/** After its input has ended, before it is killed. */
const GRACE_MS = 2_000;

export function programSender(receiver: Receiver, folder: string): Sender {
  const settings = receiver.settings as unknown as ProgramSettings;
  const link: Link<Running> = new Link({
    open: () => Running.start(join(folder, settings.name), settings, () => link.lost()),
    drop: (program) => program.end(),
  });
  return {
    send: (batch, timeout) => link.carry(batch, timeout, (program) => program.send(batch)),
    close: () => link.close(),
  };
}

class Running {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #acknowledges: boolean;
  /** Bounded by the batch. */
  readonly #waiting = new Map<string, (verdict: Verdict) => void>();
  #fail: (reason: Error) => void = () => {};
  #text = "";

  private constructor(child: ChildProcessWithoutNullStreams, acknowledges: boolean, ended: () => void) {
    this.#child = child;
    this.#acknowledges = acknowledges;
    child.stdout.setEncoding("utf8").on("data", (text: string) => this.#hear(text));
    child.stderr.resume(); // its own log is its own business, and must not fill the pipe
    child.stdin.on("error", (error) => this.#fail(error));
    child.on("close", (code, signal) => {
      ended();
      this.#fail(new Error(`the program ended with ${signal ?? `status ${code}`}`));
    });
  }

  static start(path: string, settings: ProgramSettings, ended: () => void): Promise<Running> {
    return new Promise((resolve, reject) => {
      accessSync(path, constants.X_OK); // throws with a reason that says which
      // Nothing of the platform's own secrets.
      const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin" };
      const child = spawn(path, [...settings.arguments], { stdio: ["pipe", "pipe", "pipe"], env });
      const running = new Running(child, settings.acknowledges, ended);
      child.on("error", (error) => {
        running.#fail(error);
        reject(error);
      });
      child.on("spawn", () => resolve(running));
    });
  }

  async send(batch: readonly Parcel[]): Promise<readonly Verdict[]> {
    const gone = new Promise<never>((_, reject) => (this.#fail = reject));
    gone.catch(() => {});
    const answers = batch.map(
      ({ id }) => this.#acknowledges && new Promise<Verdict>((say) => this.#waiting.set(id, say)),
    );
    try {
      const written = new Promise<void>((resolve, reject) =>
        this.#child.stdin.write(batch.map(lineOf).join(""), (error) =>
          error === null || error === undefined ? resolve() : reject(error),
        ),
      );
      const all = this.#acknowledges
        ? Promise.all(answers as Promise<Verdict>[])
        : written.then(() => batch.map(() => DONE));
      written.catch(() => {});
      return await Promise.race([all, gone]);
    } finally {
      this.#waiting.clear();
    }
  }

  end(): void {
    const child = this.#child;
    child.stdin.end();
    const kill = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
    child.on("close", () => clearTimeout(kill));
  }

  #hear(text: string): void {
    this.#text += text;
    let end: number;
    while ((end = this.#text.indexOf("\n")) >= 0) {
      this.#answer(this.#text.slice(0, end));
      this.#text = this.#text.slice(end + 1);
    }
    if (this.#text.length <= ANSWER_CHARS_MAX) return;
    this.#text = "";
    this.#fail(new Error(`the program said a line of more than ${ANSWER_CHARS_MAX} characters`));
  }

  /** What is not an answer is its own talk. */
  #answer(line: string): void {
    let said: { id?: unknown; error?: unknown; final?: unknown } | null;
    try {
      said = JSON.parse(line) as typeof said;
    } catch (error) {
      return void reasonOf(error);
    }
    const { id, error, final } = said ?? {};
    const say = typeof id === "string" ? this.#waiting.get(id) : undefined;
    if (say === undefined) return;
    this.#waiting.delete(id as string);
    if (error === undefined || error === null) return say(DONE);
    const reason = (typeof error === "string" ? error : JSON.stringify(error)).slice(0, 300);
    return say(final === true ? dead(reason) : deliveryFails(reason));
  }
}

function lineOf({ id, body, fields }: Parcel): string {
  const data =
    fields["raw"] === undefined
      ? Buffer.from(body).toString("utf8")
      : JSON.stringify(Buffer.from(body).toString("base64"));
  const { topic = "" } = fields;
  return `{"id":${JSON.stringify(id)},"topic":${JSON.stringify(topic)},"data":${data}}\n`;
}
