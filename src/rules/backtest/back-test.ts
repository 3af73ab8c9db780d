/** A rule over messages that were, beside a second one where two are compared. */
import type { EpochMs, Message } from "../../base/mod.ts";
import type { SqlEnvironment } from "../../sql/mod.ts";
import type { RuleDraft, RulesLimits } from "../model.ts";
import type { StateCounts, StateLimits } from "../windows/rule-state.ts";
import { Comparison } from "./comparison.ts";
import type { ComparisonReport } from "./comparison.ts";
import { Findings } from "./findings.ts";
import type { FindingsReport } from "./findings.ts";
import { RuleRun } from "./rule-run.ts";
import type { RunCounts } from "./rule-run.ts";
import type { TodaysAnswers } from "./todays-answers.ts";

export interface BackTestOptions {
  readonly rule: RuleDraft;
  readonly against?: RuleDraft;
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** Firings that are shown at each end. */
  readonly examples: number;
  readonly limits?: RulesLimits;
  readonly stateLimits?: StateLimits;
  readonly environment?: SqlEnvironment;
  /** To what the rules ask; without it that is Undefined. */
  readonly answers?: TodaysAnswers;
}

export interface RuleReport {
  readonly ruleName: string;
  readonly filter: string;
  readonly counts: RunCounts;
  /** Why it failed the first time; null where it never did. */
  readonly failure: string | null;
  /** What windows did not take; null where the rule has none. */
  readonly windows: Readonly<StateCounts> | null;
  /** External functions that the rule calls and nobody asks here, so they are Undefined. */
  readonly unasked: readonly string[];
  /** Those that were asked: the answers are today's, not those of then. */
  readonly askedToday: readonly string[];
  readonly findings: FindingsReport;
}

export interface BackTestReport {
  /** How often there was no answer to what was asked, and why the first time. */
  readonly unanswered: { readonly count: number; readonly reason: string | null };
  readonly rule: RuleReport;
  readonly against: RuleReport | null;
  readonly comparison: ComparisonReport | null;
}

interface Tested {
  readonly rule: RuleDraft;
  readonly run: RuleRun;
  readonly findings: Findings;
}

/** Messages about which is asked at the same time. */
const ASKED_AT_ONCE = 32;

interface Waiting {
  readonly offset: number;
  readonly message: Message;
}

export class BackTest {
  /** Something is asked: `settle` is to be awaited now and then, and before `tick`. */
  readonly asks: boolean;
  readonly #answers: TodaysAnswers | null;
  /** Bounded by what comes between two calls of `settle`. */
  #waiting: Waiting[] = [];
  readonly #rule: Tested;
  readonly #against: Tested | null;
  readonly #comparison: Comparison | null;

  /** Throws `SqlError`. */
  constructor(options: BackTestOptions) {
    this.#answers = options.answers ?? null;
    this.#comparison = options.against === undefined ? null : new Comparison(options.examples);
    this.#rule = this.#tested(options, options.rule, "this");
    this.#against = options.against === undefined ? null : this.#tested(options, options.against, "other");
    this.asks = this.#rule.run.asks || this.#against?.run.asks === true;
  }

  /** What reaches the rules: their own filters, and Basic Ingest that names them. */
  get topicFilters(): string[] {
    const tested = this.#against === null ? [this.#rule] : [this.#rule, this.#against];
    return [...new Set(tested.flatMap(({ rule, run }) => [run.sql.filter, `$aws/rules/${rule.ruleName}/#`]))];
  }

  wants(topic: string): boolean {
    return this.#rule.run.wants(topic) || this.#against?.run.wants(topic) === true;
  }

  /** One message in the order of the offsets; the payload must stay as it is until this returns. */
  handle(offset: number, message: Message): void {
    if (this.asks) {
      this.#waiting.push({ offset, message: { ...message, payload: message.payload.slice() } });
      return;
    }
    const against = this.#against;
    if (against === null) {
      this.#rule.run.handle(offset, message);
      return;
    }
    if (this.#rule.run.wants(message.topic)) this.#rule.run.handle(offset, message);
    if (against.run.wants(message.topic)) against.run.handle(offset, message);
    this.#comparison!.seen(this.#rule.run, against.run);
  }

  /** Asks about what was handed over, and tries it, in order. `goOn` is looked at now and then; where it is false, the rest is left. */
  async settle(goOn: () => boolean = () => true): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let begin = 0; begin < waiting.length && goOn(); begin += ASKED_AT_ONCE) {
      const some = waiting.slice(begin, begin + ASKED_AT_ONCE);
      const tries = await Promise.all(some.map((one) => this.#asked(one)));
      for (const attempt of tries) attempt();
    }
  }

  /** Resolves to the attempt, once all of its answers are there. */
  async #asked({ offset, message }: Waiting): Promise<() => void> {
    const runs = (this.#against === null ? [this.#rule.run] : [this.#rule.run, this.#against.run]).filter((run) =>
      run.wants(message.topic),
    );
    const attempts = await Promise.all(
      runs.map(async (run) => {
        const input = run.asks ? await run.ask(message) : null;
        return () => (input === null ? run.handle(offset, message) : run.take(offset, input));
      }),
    );
    return () => {
      for (const attempt of attempts) attempt();
      if (this.#against !== null) this.#comparison!.seen(this.#rule.run, this.#against.run);
    };
  }

  /** All messages that were accepted before were handled. */
  tick(now: EpochMs): void {
    this.#rule.run.tick(now);
    this.#against?.run.tick(now);
  }

  report(): BackTestReport {
    return {
      rule: reportOf(this.#rule, this.#answers),
      against: this.#against === null ? null : reportOf(this.#against, this.#answers),
      unanswered: this.#answers?.unanswered ?? { count: 0, reason: null },
      comparison: this.#comparison?.report() ?? null,
    };
  }

  #tested(options: BackTestOptions, rule: RuleDraft, side: "this" | "other"): Tested {
    const findings = new Findings({ ...options, rule });
    const run = new RuleRun({
      ...options,
      rule,
      templates: findings.calls,
      fired: (firing, input) => {
        findings.take(firing, input);
        this.#comparison?.take(side, firing);
      },
    });
    return { rule, run, findings };
  }
}

function reportOf({ rule, run, findings }: Tested, answers: TodaysAnswers | null): RuleReport {
  const names = [...new Set([...run.sql.externals, ...findings.externals])];
  return {
    ruleName: rule.ruleName,
    filter: run.sql.filter,
    counts: { ...run.counts },
    failure: run.failure,
    windows: run.stateCounts === null ? null : { ...run.stateCounts },
    unasked: names.filter((name) => answers?.asks(name) !== true),
    askedToday: names.filter((name) => answers?.asks(name) === true),
    findings: findings.report(),
  };
}
