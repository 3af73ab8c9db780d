/**
 * Rules tried on the past while the platform runs: each in a process of its own, one at a time of a kind, limited in time. The
 * broker's process only passes on what it is told; ending the process ends everything.
 */
import { LIMITS, TidewireError, reasonOf } from "../../base/mod.ts";
import type { Counter, Limits, Logger, Metrics, Scheduler } from "../../base/mod.ts";
import { LOOKED_UP } from "../../rules/mod.ts";
import type { ExternalName, SqlEnvironment } from "../../sql/mod.ts";
import type { StartPastProcess } from "./child.ts";
import type { ExplainAnswer } from "../api/contract-rules.ts";
import type { ExplainOrder } from "./explain-recent.ts";
import type { PastTestOrder, PastTestProgress, PastTestResult } from "./past-test.ts";
import type { FromPast, ToPast } from "./protocol.ts";

type Kind = "test" | "explain";
/** `stopped`: at the limit of time, with what was found. `cancelled`: nobody waits any more. */
type Outcome = "finished" | "stopped" | "cancelled" | "failed" | "busy";
const OUTCOMES: readonly Outcome[] = ["finished", "stopped", "cancelled", "failed", "busy"];

type Answer = Exclude<FromPast, { type: "progress" | "ask" }>;
type Order = Exclude<ToPast, { type: "stop" | "answer" }>;

export interface BackTesterOptions {
  /** The platform's data folder. */
  readonly data: string;
  readonly start: StartPastProcess;
  /** Answers what rules look up; without it they look up nothing. */
  readonly external?: SqlEnvironment["external"] | undefined;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits?: Limits["backTests"];
}

export class BackTester {
  readonly #o: BackTesterOptions;
  readonly #limits: Limits["backTests"];
  /** At most one of a kind. */
  readonly #running = new Map<Kind, AbortController>();
  readonly #outcomes: Readonly<Record<Kind, ReadonlyMap<Outcome, Counter>>>;
  #closed = false;

  constructor(options: BackTesterOptions) {
    this.#o = options;
    this.#limits = options.limits ?? LIMITS.backTests;
    this.#outcomes = { test: countersOf(options.metrics, "test"), explain: countersOf(options.metrics, "explain") };
    options.metrics.observe(
      { name: "tidewire_back_tests_running", help: "Processes that look at the past for somebody" },
      () => this.#running.size,
    );
  }

  /** Aborting ends it at once. Throws BACK_TEST_BUSY, BACK_TEST_FAILED, what the log is refused for, or the signal's reason. */
  async test(
    order: Omit<PastTestOrder, "data">,
    progress: (progress: PastTestProgress) => void,
    signal: AbortSignal,
  ): Promise<PastTestResult> {
    const { data } = this.#o;
    const answer = await this.#run(
      "test",
      { type: "test", order: { ...order, data }, asked: this.#asked },
      progress,
      signal,
    );
    if (answer.type !== "tested") throw errorOf(answer);
    this.#count("test", answer.result.complete ? "finished" : "stopped");
    return answer.result;
  }

  /** As `test`. `mayLookUp`: false for somebody who may not write rules, and so may not see what only they can ask for. */
  async explain(order: Omit<ExplainOrder, "data">, mayLookUp: boolean, signal: AbortSignal): Promise<ExplainAnswer> {
    const { data } = this.#o;
    const asked = mayLookUp ? this.#asked : [];
    const answer = await this.#run("explain", { type: "explain", order: { ...order, data }, asked }, () => {}, signal);
    if (answer.type !== "explained") throw errorOf(answer);
    this.#count("explain", "finished");
    return answer.past;
  }

  get #asked(): readonly ExternalName[] {
    return this.#o.external === undefined ? [] : LOOKED_UP;
  }

  /** What it asks beyond what may be looked up is a mistake of ours, and has no answer. */
  async #answerTo({ id, request }: FromPast & { readonly type: "ask" }): Promise<ToPast> {
    try {
      if (!this.#asked.includes(request.name)) throw new Error("it is not asked about the past");
      const value = await this.#o.external!(request);
      return { type: "answer", id, ...(value === undefined ? {} : { value }) };
    } catch (error) {
      return { type: "answer", id, fault: reasonOf(error) };
    }
  }

  /** Ends what runs. */
  close(): void {
    this.#closed = true;
    for (const running of this.#running.values()) running.abort(failed("the platform stops"));
  }

  async #run(
    kind: Kind,
    order: Order,
    progress: (progress: PastTestProgress) => void,
    signal: AbortSignal,
  ): Promise<Answer> {
    if (this.#closed) throw failed("the platform stops");
    if (this.#running.has(kind)) {
      this.#count(kind, "busy");
      throw new TidewireError("BACK_TEST_BUSY");
    }
    signal.throwIfAborted();
    const own = new AbortController();
    this.#running.set(kind, own);
    try {
      const answer = await this.#answer(kind, order, progress, AbortSignal.any([signal, own.signal]));
      if (answer.type === "refused" || answer.type === "failed") this.#count(kind, "failed");
      return answer;
    } catch (error) {
      this.#count(kind, signal.aborted ? "cancelled" : "failed");
      throw error;
    } finally {
      this.#running.delete(kind);
    }
  }

  #answer(
    kind: Kind,
    order: Order,
    progress: (progress: PastTestProgress) => void,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { scheduler, logger, start } = this.#o;
    const { testTimeMax, explainTimeMax, stopGrace } = this.#limits;
    return new Promise((resolve, reject) => {
      let over = false;
      const process = start({
        news: (news) => {
          if (news.type === "progress") progress(news.progress);
          else if (news.type === "ask") void this.#answerTo(news).then((answer) => over || process.send(answer));
          else end(() => resolve(news));
        },
        exit: (reason, stderr) => {
          if (over) return; // it was killed, for its work is done
          logger.warn("A process that looked at the past has ended before its answer.", { kind, reason, stderr });
          end(() => reject(failed(`its process ended with ${reason}`)));
        },
      });
      const late = failed("it took too long");
      const cancels = [
        // A test answers with what it has found by then; an explanation has nothing to show before its end.
        scheduler.after(kind === "test" ? testTimeMax : explainTimeMax, () => {
          process.send({ type: "stop" });
          cancels.push(scheduler.after(stopGrace, () => end(() => reject(late))));
        }),
      ];
      const aborted = (): void => end(() => reject(signal.reason instanceof Error ? signal.reason : late));
      const end = (settle: () => void): void => {
        if (over) return;
        over = true;
        for (const cancel of cancels) cancel();
        signal.removeEventListener("abort", aborted);
        process.kill();
        settle();
      };
      signal.addEventListener("abort", aborted);
      process.send(order);
    });
  }

  #count(kind: Kind, outcome: Outcome): void {
    this.#outcomes[kind].get(outcome)!.value++;
  }
}

function countersOf(metrics: Metrics, kind: Kind): ReadonlyMap<Outcome, Counter> {
  const counter = (outcome: Outcome): Counter =>
    metrics.counter({
      name: "tidewire_back_tests_total",
      help: "Rules that were tried on the past, or explained by it, by how that ended",
      labels: { kind, outcome },
    });
  return new Map(OUTCOMES.map((outcome) => [outcome, counter(outcome)]));
}

function errorOf(answer: Answer): TidewireError {
  if (answer.type === "refused") return new TidewireError(answer.code, answer.details);
  return failed(answer.type === "failed" ? answer.reason : `its process answered with '${answer.type}'`);
}

function failed(reason: string): TidewireError {
  return new TidewireError("BACK_TEST_FAILED", { reason });
}
