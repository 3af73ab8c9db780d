/** Bulk provisioning as the API takes it: a line per device in, a line per device out. */
import { createHash } from "node:crypto";
import { readSigningRequest } from "../../adapters/pki/mod.ts";
import {
  LIMITS,
  TidewireError,
  encodeUtf8,
  isJsonObject,
  isTidewireError,
  parseJson,
  seconds,
} from "../../base/mod.ts";
import type { Clock, Counter, JsonObject, Metrics, Scheduler } from "../../base/mod.ts";
import { ProvisioningRefusal } from "../../identity/mod.ts";
import type { BulkAnswer } from "../api/contract.ts";
import type { BulkParameter, BulkProvisioning, BulkTerms, Provisioner } from "../../identity/mod.ts";

export interface BulkDeskOptions {
  readonly bulk: BulkProvisioning;
  readonly provisioner: Pick<Provisioner, "note">;
  readonly clock: Clock;
  readonly scheduler: Pick<Scheduler, "after">;
  readonly metrics: Metrics;
}

interface Line {
  readonly line: number;
  readonly csrPem: string;
  readonly parameters: Readonly<Record<string, string>>;
}

type Parsed = Line | { readonly line: number; readonly refusal: ProvisioningRefusal };

export class BulkDesk {
  readonly #o: BulkDeskOptions;
  readonly #turnedAway: Counter;
  #requests = 0;
  #atWork = 0;
  /** Devices that wait for others to be signed; bounded by requests and their lines. */
  readonly #waiting: (() => void)[] = [];
  /** When the next device is due at the limit's pace, by the monotonic clock. */
  #nextAt = 0;

  constructor(options: BulkDeskOptions) {
    this.#o = options;
    this.#turnedAway = options.metrics.counter({
      name: "tidewire_bulk_turned_away_total",
      help: "Bulk requests that were told to come back, because too many were worked on",
    });
  }

  describe(template: string): readonly BulkParameter[] {
    return this.#o.bulk.describe(template);
  }

  /** An answer per line, in their order. Throws REQUEST_INVALID, TOO_MANY_REQUESTS, NOT_FOUND. */
  async take(text: string, terms: BulkTerms, rehearsal: boolean): Promise<readonly BulkAnswer[]> {
    const { bulkLinesMax, bulkRequestsMax } = LIMITS.provisioning;
    this.describe(terms.template);
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    if (lines.length === 0 || lines.length > bulkLinesMax)
      throw new TidewireError("REQUEST_INVALID", { reason: `a bulk request has 1 to ${bulkLinesMax} lines` });
    if (this.#requests >= bulkRequestsMax) {
      this.#turnedAway.value++;
      throw new TidewireError("TOO_MANY_REQUESTS", { retryAfter: "1 s" });
    }
    this.#requests++;
    try {
      const parsed = lines.map((line, i) => parse(line, i + 1, rehearsal));
      return rehearsal ? await this.#rehearse(parsed, terms) : await this.#provision(parsed, terms);
    } finally {
      this.#requests--;
    }
  }

  #provision(lines: readonly Parsed[], terms: BulkTerms): Promise<readonly BulkAnswer[]> {
    const { bulk } = this.#o;
    return Promise.all(
      lines.map(async (each): Promise<BulkAnswer> => {
        const { line } = each;
        try {
          if ("refusal" in each) throw each.refusal;
          const device = await this.inTurn(async () => {
            const keyHash = await keyHashOf(each.csrPem);
            return bulk.provision({ ...each, keyHash }, terms);
          });
          return { line, outcome: "done", ...device };
        } catch (error) {
          return this.#failed(line, error, terms);
        }
      }),
    );
  }

  async #rehearse(lines: readonly Parsed[], terms: BulkTerms): Promise<readonly BulkAnswer[]> {
    const good = lines.filter((each): each is Line => !("refusal" in each));
    const outcomes = (await this.inTurn(() => this.#o.bulk.rehearse(good, terms))).values();
    return lines.map((each) => {
      const outcome = "refusal" in each ? each.refusal : outcomes.next().value!;
      if (outcome instanceof ProvisioningRefusal) return refused(each.line, outcome);
      return { line: each.line, outcome: "checked", thing: outcome.thing };
    });
  }

  #failed(line: number, error: unknown, { template }: BulkTerms): BulkAnswer {
    if (!(error instanceof ProvisioningRefusal)) throw error;
    this.#o.provisioner.note(error, { operation: "Bulk", template, line });
    return refused(line, error);
  }

  /** Some at once, and not faster than the limit. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const { bulkAtOnceMax, bulkPerSecondMax } = LIMITS.provisioning;
    if (this.#atWork >= bulkAtOnceMax) await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    else this.#atWork++;
    try {
      const now = this.#o.clock.monotonic();
      const at = Math.max(now, this.#nextAt);
      this.#nextAt = at + seconds(1) / bulkPerSecondMax;
      const early = at - now - seconds(1); // what a second allows may come at once
      if (early >= 1) await new Promise<void>((resolve) => void this.#o.scheduler.after(early, resolve));
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#atWork--;
      else next(); // which has its place now
    }
  }
}

function refused(line: number, { code, message }: ProvisioningRefusal): BulkAnswer {
  return { line, outcome: "failed", code, reason: message };
}

function parse(text: string, place: number, rehearsal: boolean): Parsed {
  const { requestBytesMax } = LIMITS.provisioning;
  const refuse = (line: number, reason: string): Parsed => {
    return { line, refusal: new ProvisioningRefusal("request", "InvalidPayload", reason) };
  };
  const bytes = encodeUtf8(text);
  if (bytes.length > requestBytesMax) return refuse(place, `A line has at most ${requestBytesMax} bytes`);
  const parsed = parseJson(bytes, { jsonBytesMax: requestBytesMax, jsonDepthMax: 3 });
  if (!parsed.ok || !isJsonObject(parsed.value)) return refuse(place, "The line is no JSON object");
  const { line: given, csr, parameters } = parsed.value;
  const line = typeof given === "number" && Number.isSafeInteger(given) && given > 0 ? given : place;
  const stranger = Object.keys(parsed.value).find((key) => !["line", "csr", "parameters"].includes(key));
  if (stranger !== undefined) return refuse(line, `'${stranger.slice(0, 100)}' is not known in a line`);
  if (typeof csr !== "string" && !rehearsal) return refuse(line, "csr is missing, or no text");
  const texts = textsOf(parameters ?? {});
  if (texts === null) return refuse(line, `parameters are at most ${LIMITS.provisioning.parametersMax} texts by name`);
  return { line, csrPem: typeof csr === "string" ? csr : "", parameters: texts };
}

function textsOf(value: unknown): Readonly<Record<string, string>> | null {
  if (!isJsonObject(value as JsonObject)) return null;
  const entries = Object.entries(value as JsonObject);
  const isFit = entries.length <= LIMITS.provisioning.parametersMax;
  return isFit && entries.every(([, text]) => typeof text === "string")
    ? (Object.fromEntries(entries) as Record<string, string>)
    : null;
}

/** Whoever sends it has signed it with this key. */
async function keyHashOf(csrPem: string): Promise<string> {
  try {
    const { publicKey } = await readSigningRequest(csrPem);
    return createHash("sha256")
      .update(publicKey.export({ type: "spki", format: "der" }))
      .digest("hex");
  } catch (error) {
    if (!isTidewireError(error)) throw error;
    const { message } = error;
    throw new ProvisioningRefusal("certificate", "InvalidCertificateSigningRequest", message, { cause: error });
  }
}
