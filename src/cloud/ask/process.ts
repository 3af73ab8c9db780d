/** An asking process: `child.ts` starts it. It runs one user's query at a time, and is killed where it does not end by itself. */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { TidewireError, reasonOf } from "../../base/mod.ts";
import type { Limits } from "../../base/mod.ts";
import { UserQuery, thingsView, writeAnswer } from "../../adapters/duckdb/mod.ts";
import type { AnswerEnd, Parameters } from "../../adapters/duckdb/mod.ts";
import { stepBack, systemScheduler } from "../../adapters/system.ts";
import { THINGS_FILE } from "./protocol.ts";
import type { FromAsker, RunOrder, ToAsker } from "./protocol.ts";

/** Nice value: the broker first, then the store, then whoever asks. */
const PRIORITY = 19;
const ANSWER_PIPE = 4;
const WATCH_PERIOD = 50;

function send(news: FromAsker, sent: () => void = () => {}): void {
  if (process.connected) process.send?.(news, undefined, undefined, () => sent());
}

class Asker {
  readonly #limits: Limits["asking"];
  readonly #pipe = new Socket({ fd: ANSWER_PIPE, readable: false, writable: true });
  /** The next query's database, opened ahead: 20 ms that nobody waits for. */
  #query: Promise<UserQuery>;
  #written = 0;
  #withThings = false;

  constructor(limits: Limits["asking"]) {
    this.#limits = limits;
    this.#pipe.on("error", () => process.exit(0)); // the platform is gone
    this.#query = UserQuery.open(limits);
  }

  async opened(): Promise<void> {
    await this.#query;
    this.#watchMemory(process.memoryUsage.rss() + 2 * this.#limits.queryMemoryBytesMax);
  }

  async check(sql: string, parameters: Parameters): Promise<void> {
    const query = await this.#query;
    try {
      const { relations, range } = await query.check(sql, parameters);
      this.#withThings = relations.has("things");
      send({ type: "checked", relations: [...relations], range });
    } catch (error) {
      this.#refuse(query, error);
    }
  }

  async run(order: RunOrder): Promise<void> {
    const query = await this.#query;
    this.#written = 0;
    try {
      await mkdir(join(order.folder, "spill"), { recursive: true, mode: 0o700 });
      const things = this.#withThings ? [thingsView(THINGS_FILE)] : [];
      await query.bind(order.folder, [...order.views, ...things]);
      const end = await this.#answer(query, order);
      this.#renew(query);
      send({ type: "done", bytes: this.#written, ...end });
    } catch (error) {
      this.#refuse(query, error);
    }
  }

  async #answer(query: UserQuery, order: RunOrder): Promise<AnswerEnd> {
    const { format, parameters, explain, folder, incomplete } = order;
    if (format === "parquet") {
      const path = join(folder, "answer.parquet");
      const rows = await query.writeParquet(parameters, path);
      for await (const bytes of createReadStream(path, { highWaterMark: 262_144 })) {
        await this.#write(bytes as Uint8Array);
      }
      return { rows, truncated: false };
    }
    const result = await query.stream(parameters, explain);
    if (format === "json") return this.#answerWhole(result, order);
    const rowsMax = Number.POSITIVE_INFINITY;
    return writeAnswer(result, { format, rowsMax, incomplete }, (text) => this.#write(bytesOf(text, order)));
  }

  /** A JSON answer is whole, or a refusal. */
  async #answerWhole(result: Awaited<ReturnType<UserQuery["stream"]>>, order: RunOrder): Promise<AnswerEnd> {
    const { jsonBytesMax } = this.#limits;
    const gathered: Uint8Array[] = [];
    let size = 0;
    const end = await writeAnswer(result, { ...order, format: "json" }, async (text) => {
      const bytes = bytesOf(text, order);
      size += bytes.length;
      if (size > jsonBytesMax) throw tooLarge(jsonBytesMax);
      gathered.push(bytes);
    });
    for (const bytes of gathered) await this.#write(bytes);
    return end;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    const { streamBytesMax } = this.#limits;
    if (this.#written + bytes.length > streamBytesMax) throw tooLarge(streamBytesMax);
    if (this.#written === 0) send({ type: "answering" });
    this.#written += bytes.length;
    if (!this.#pipe.write(bytes)) await once(this.#pipe, "drain");
  }

  #refuse(query: UserQuery, error: unknown): void {
    const { code, details } = query.refusal(error);
    this.#renew(query);
    send({ type: "refused", code, details });
  }

  #renew(query: UserQuery): void {
    query.close();
    this.#query = UserQuery.open(this.#limits);
    this.#query.catch(fail);
  }

  /** DuckDB's limit does not know of every allocation, and the system's own (`child.ts`) is not there on every system. */
  #watchMemory(bytesMax: number): void {
    systemScheduler.every(WATCH_PERIOD, () => {
      if (process.memoryUsage.rss() <= bytesMax) return;
      const limit = `${Math.round(this.#limits.queryMemoryBytesMax / 1024 / 1024)} MiB`;
      send({ type: "refused", code: "QUERY_TOO_MUCH_MEMORY", details: { limit, what: "memory" } }, () =>
        process.exit(1),
      );
    });
  }
}

/** A plan names the files that it reads, and so where they lie. */
function bytesOf(text: string, { explain, folder }: RunOrder): Uint8Array {
  return Buffer.from(explain ? text.replaceAll(folder, "…") : text);
}

function tooLarge(bytes: number): TidewireError {
  return new TidewireError("QUERY_ANSWER_TOO_LARGE", { limit: `${Math.round(bytes / 1024 / 1024)} MiB` });
}

function fail(error: unknown): void {
  process.stderr.write(`${reasonOf(error)}\n`, () => process.exit(1));
}

/** Not everywhere allowed, and nothing depends on it. */
function yieldToBroker(): void {
  try {
    stepBack(PRIORITY);
  } catch {
    // it runs with the platform's priority
  }
}

function main(): void {
  yieldToBroker();
  let asker: Asker | null = null;
  process.on("message", (order: ToAsker) => {
    if (order.type === "open") {
      asker = new Asker(order.limits);
      asker.opened().then(() => send({ type: "ready" }), fail);
    } else if (order.type === "check") asker?.check(order.sql, order.parameters).catch(fail);
    else asker?.run(order).catch(fail);
  });
  process.on("disconnect", () => process.exit(0));
  // Ctrl-C reaches the whole group; the platform decides when this ends.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
}

main();
