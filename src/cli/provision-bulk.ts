/** Lines of a file become devices: requests of some lines each, two under way, tried again while the platform is away. */
import { LIMITS, TidewireError, closestWord, isRetryable, isTidewireError, reasonOf, seconds } from "../base/mod.ts";
import type { BulkAnswer } from "../cloud/api/contract.ts";
import type { PlatformClient } from "./client.ts";
import { rowId } from "./provision-folder.ts";
import type { BulkFolder } from "./provision-folder.ts";
import type { Row } from "./provision-rows.ts";

export interface BulkRun {
  readonly client: PlatformClient;
  readonly template: string;
  readonly allowKnown: boolean;
  /** Null: every line is checked, nothing is made. */
  readonly folder: BulkFolder | null;
  readonly device: { readonly broker: string; readonly renewal: string; readonly caPem: string };
  /** Told of each line that failed. */
  readonly onFailed: (line: number, reason: string) => void;
  /** Told after each request, for whoever watches. */
  readonly onProgress: (tally: Tally) => void;
  readonly isStopped: () => boolean;
  readonly wait: (delay: number) => Promise<void>;
}

export interface Tally {
  lines: number;
  /** By this run; a rehearsal's are those that would be. */
  done: number;
  /** By an earlier run. */
  before: number;
  failed: number;
}

interface Asked {
  readonly line: number;
  readonly row: string;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface TemplateParameter {
  readonly name: string;
  readonly required: boolean;
}

/** Requests under way: while the platform signs for one, the keys of the next are made. */
const WINDOW = 2;
/** Room for the signing request and what JSON adds, below the API's limit for bodies. */
const REQUEST_BYTES_MAX = LIMITS.http.bodyBytesMax - 64 * 1024;
const LINE_EXTRA_BYTES = 1024;
const DELAYS = [1, 2, 4, 8, 15, 15].map(seconds);

/** What is wrong with a CSV file's columns, or null. */
export function columnFault(columns: readonly string[], parameters: readonly TemplateParameter[]): string | null {
  const known = parameters.map(({ name }) => name);
  const stranger = columns.find((column) => !known.includes(column));
  if (stranger !== undefined) {
    const meant = closestWord(stranger.slice(0, 60), known);
    const hint = meant === null ? `; it has ${known.join(", ") || "none"}` : `; did you mean '${meant}'?`;
    return `the template has no parameter for the column '${stranger.slice(0, 60)}'${hint}`.replace(/\?$/, "");
  }
  const missing = parameters.find(({ name, required }) => required && !columns.includes(name));
  return missing === undefined ? null : `the column '${missing.name}' is missing, which the template needs`;
}

export async function provisionRows(rows: AsyncIterable<Row>, run: BulkRun): Promise<Tally> {
  const bulk = new Bulk(run);
  try {
    for await (const row of rows) {
      if (run.isStopped()) break;
      await bulk.take(row);
    }
    await bulk.end();
    return bulk.tally;
  } finally {
    await bulk.settled(); // nothing is written behind the caller's back
  }
}

class Bulk {
  readonly tally: Tally = { lines: 0, done: 0, before: 0, failed: 0 };
  readonly #run: BulkRun;
  /** Rows and things of this file, with their lines; bounded by `bulkRowsMax`. */
  readonly #rows = new Map<string, number>();
  readonly #things = new Map<string, number>();
  readonly #underWay = new Set<Promise<void>>();
  #batch: Asked[] = [];
  #bytes = 0;
  #failure: unknown = null;

  constructor(run: BulkRun) {
    this.#run = run;
  }

  async take(row: Row): Promise<void> {
    const { bulkRowsMax, bulkLinesMax } = LIMITS.provisioning;
    if (++this.tally.lines > bulkRowsMax) {
      const reason = `it has more than ${bulkRowsMax} devices; split it`;
      throw new TidewireError("BULK_FILE_INVALID", { file: "The file", reason });
    }
    const { line } = row;
    if ("fault" in row) return this.#fail(line, row.fault);
    const { parameters } = row;
    const id = rowId(this.#run.template, parameters);
    const twin = this.#rows.get(id);
    if (twin !== undefined) return this.#fail(line, `it says the same as line ${twin}`);
    this.#rows.set(id, line);
    if (this.#run.folder?.isDone(id) === true) {
      this.tally.before++;
      return;
    }
    const bytes = Buffer.byteLength(JSON.stringify(parameters)) + LINE_EXTRA_BYTES;
    if (this.#batch.length === bulkLinesMax || this.#bytes + bytes > REQUEST_BYTES_MAX) await this.#send();
    this.#batch.push({ line, row: id, parameters });
    this.#bytes += bytes;
  }

  /** Throws what a request failed with. */
  async end(): Promise<void> {
    if (this.#batch.length > 0 && !this.#run.isStopped()) await this.#send();
    await this.settled();
    if (this.#failure !== null) throw this.#failure;
  }

  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** Returns when there is room for the next. */
  async #send(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#bytes = 0;
    const work: Promise<void> = this.#provision(batch)
      .catch((error: unknown) => void (this.#failure ??= error))
      .finally(() => void this.#underWay.delete(work));
    this.#underWay.add(work);
    if (this.#underWay.size >= WINDOW) await Promise.race(this.#underWay);
    if (this.#failure !== null) throw this.#failure;
  }

  async #provision(batch: readonly Asked[]): Promise<void> {
    const { folder, allowKnown, onProgress } = this.#run;
    // Where things may exist, only a rehearsal tells that two lines mean the same one.
    const asked = folder === null || allowKnown ? await this.#rehearse(batch) : batch;
    if (folder !== null && asked.length > 0) await this.#make(asked, folder);
    onProgress(this.tally);
  }

  /** Those that would be done. */
  async #rehearse(batch: readonly Asked[]): Promise<readonly Asked[]> {
    const answers = await this.#ask(
      batch.map(({ line, parameters }) => ({ line, parameters })),
      true,
    );
    return batch.filter((asked, i) => {
      const answer = answers[i]!;
      if (answer.outcome === "failed") {
        this.#fail(asked.line, answer.reason);
        return false;
      }
      const isFirst = this.#isFirst(answer.thing, asked.line);
      if (isFirst && this.#run.folder === null) this.tally.done++;
      return isFirst;
    });
  }

  #isFirst(thing: string, line: number): boolean {
    const twin = this.#things.get(thing);
    if (twin === undefined) this.#things.set(thing, line);
    else if (twin !== line) this.#fail(line, `it means the thing '${thing}', as line ${twin} does`);
    return twin === undefined || twin === line;
  }

  async #make(batch: readonly Asked[], folder: BulkFolder): Promise<void> {
    const keys = await Promise.all(batch.map(({ row }) => folder.keyFor(row)));
    const lines = batch.map(({ line, parameters }, i) => ({ line, csr: keys[i]!.csrPem, parameters }));
    const answers = await this.#ask(lines, false);
    for (const [i, { line, row }] of batch.entries()) {
      const answer = answers[i]!;
      if (answer.outcome !== "done") {
        this.#fail(line, answer.outcome === "failed" ? answer.reason : "the platform did not do it");
        continue;
      }
      const { thing, certificateId, certificatePem, deviceConfiguration } = answer;
      const device = { ...this.#run.device, thing, certificatePem, deviceConfiguration };
      try {
        const entry = { line, outcome: "done", row, thing, certificateId, folder: thing } as const;
        folder.finish(entry, { ...device, privateKeyPem: keys[i]!.privateKeyPem });
        this.tally.done++;
      } catch (error) {
        if (!isTidewireError(error) || error.code !== "DEVICE_FOLDER_EXISTS") throw error;
        this.#fail(line, `${clauseOf(error.message)}; it holds another device's key`);
      }
    }
  }

  /** What was answered already is answered the same again, so a lost answer costs nothing. */
  async #ask(lines: readonly object[], dryRun: boolean): Promise<readonly BulkAnswer[]> {
    const { client, template, allowKnown, wait, isStopped } = this.#run;
    const query = `dryRun=${dryRun}&known=${allowKnown ? "allow" : "refuse"}`;
    const path = `/api/bulk-provisioning/${encodeURIComponent(template)}?${query}`;
    const body = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    for (const delay of [...DELAYS, null]) {
      try {
        return answersOf(await client.lines(path, body), lines.length, client.url);
      } catch (error) {
        if (delay === null || isStopped() || !mayPass(error)) throw error;
        await wait(delay);
      }
    }
    throw new TidewireError("INTERNAL", { reason: "a request was neither answered nor refused" });
  }

  #fail(line: number, reason: string): void {
    this.tally.failed++;
    const clause = clauseOf(reason);
    this.#run.folder?.failed(line, clause);
    this.#run.onFailed(line, clause);
  }
}

/** The platform is starting again, or busy. */
function mayPass(error: unknown): boolean {
  if (!isTidewireError(error)) return false;
  return isRetryable(error) || error.code === "PLATFORM_UNREACHABLE" || error.code === "TOO_MANY_REQUESTS";
}

function answersOf(lines: readonly string[], expected: number, url: string): readonly BulkAnswer[] {
  try {
    const answers = lines.map((line) => JSON.parse(line) as BulkAnswer);
    if (answers.length !== expected) throw new Error(`it answered ${answers.length} of ${expected} lines`);
    // The name becomes a folder's.
    const odd = answers.find((answer) => "thing" in answer && !/^[a-zA-Z0-9:_-]{1,128}$/.test(answer.thing));
    if (odd !== undefined) throw new Error("it answered with a name that no thing can have");
    return answers;
  } catch (error) {
    throw new TidewireError("PLATFORM_UNREACHABLE", { url, reason: reasonOf(error) }, { cause: error });
  }
}

function clauseOf(text: string): string {
  return text.replace(/[.\s]+$/, "");
}
