/** Reports of registration tasks, for whoever has a link: as on AWS it says by itself, and for a while, that he may read. */
import { timingSafeEqual } from "node:crypto";
import { LIMITS, TidewireError, arnOf } from "../../base/mod.ts";
import type { Clock } from "../../base/mod.ts";
import type { RegistrationLine, RegistrationTasks } from "../../identity/mod.ts";
import type { Registry } from "../../registry/mod.ts";

export type ReportType = "RESULTS" | "ERRORS";

export interface RegistrationReportsOptions {
  readonly tasks: Pick<RegistrationTasks, "describe" | "report">;
  readonly registry: Registry;
  readonly hmac: (text: string) => string;
  readonly clock: Clock;
}

const LINES_PER_PART = 500;

export class RegistrationReports {
  readonly #o: RegistrationReportsOptions;

  constructor(options: RegistrationReportsOptions) {
    this.#o = options;
  }

  /** A path with query, good for a while. Throws NOT_FOUND. */
  link(taskId: string, type: ReportType): string {
    this.#o.tasks.describe(taskId);
    const expires = this.#o.clock.now() + LIMITS.provisioning.registrationReportLife;
    const signature = this.#signature(taskId, type, expires);
    return `/api/registration-tasks/${taskId}/reports/${type}?expires=${expires}&signature=${signature}`;
  }

  /** Throws UNAUTHORIZED where the link is none of ours, or over. */
  check(taskId: string, type: ReportType, expires: number, signature: string): void {
    const [given, ours] = [Buffer.from(signature), Buffer.from(this.#signature(taskId, type, expires))];
    const isOurs = given.length === ours.length && timingSafeEqual(given, ours);
    if (!isOurs || expires <= this.#o.clock.now()) throw new TidewireError("UNAUTHORIZED");
  }

  /** A JSON object per line of the input, as far as the task has come; some hundred at a time. */
  *parts(taskId: string, type: ReportType): Generator<string> {
    const outcome = type === "RESULTS" ? "done" : "failed";
    for (let after = 0; ;) {
      const lines = this.#o.tasks.report(taskId, outcome, after, LINES_PER_PART);
      if (lines.length === 0) return;
      after = lines.at(-1)!.line;
      yield lines.map((line) => `${JSON.stringify(this.#entryOf(line))}\n`).join("");
    }
  }

  #entryOf({ line: lineNumber, thing, certificateId, code, reason: message }: RegistrationLine): object {
    if (code !== null) return { lineNumber, error: { code, message } };
    const certificatePem = this.#o.registry.certificates.find(certificateId!)?.pem; // gone where it was deleted since
    const resourceArns = {
      ...(thing === null ? {} : { thing: arnOf.thing(thing) }),
      certificate: arnOf.certificate(certificateId!),
    };
    return { lineNumber, response: { certificatePem, resourceArns } };
  }

  #signature(taskId: string, type: ReportType, expires: number): string {
    return this.#o.hmac(`registration report ${taskId} ${type} ${expires}`);
  }
}
