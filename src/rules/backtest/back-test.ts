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
}

export interface RuleReport {
  readonly ruleName: string;
  readonly filter: string;
  readonly counts: RunCounts;
  /** Why it failed the first time; null where it never did. */
  readonly failure: string | null;
  /** What windows did not take; null where the rule has none. */
  readonly windows: Readonly<StateCounts> | null;
  /** External functions that the rule calls; a back-test asks none, so they are Undefined. */
  readonly unasked: readonly string[];
  readonly findings: FindingsReport;
}

export interface BackTestReport {
  readonly rule: RuleReport;
  readonly against: RuleReport | null;
  readonly comparison: ComparisonReport | null;
}

interface Tested {
  readonly rule: RuleDraft;
  readonly run: RuleRun;
  readonly findings: Findings;
}

export class BackTest {
  readonly #rule: Tested;
  readonly #against: Tested | null;
  readonly #comparison: Comparison | null;

  /** Throws `SqlError`. */
  constructor(options: BackTestOptions) {
    this.#comparison = options.against === undefined ? null : new Comparison(options.examples);
    this.#rule = this.#tested(options, options.rule, "this");
    this.#against = options.against === undefined ? null : this.#tested(options, options.against, "other");
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
    const against = this.#against;
    if (against === null) {
      this.#rule.run.handle(offset, message);
      return;
    }
    if (this.#rule.run.wants(message.topic)) this.#rule.run.handle(offset, message);
    if (against.run.wants(message.topic)) against.run.handle(offset, message);
    this.#comparison!.seen(this.#rule.run, against.run);
  }

  /** All messages that were accepted before were handled. */
  tick(now: EpochMs): void {
    this.#rule.run.tick(now);
    this.#against?.run.tick(now);
  }

  report(): BackTestReport {
    return {
      rule: reportOf(this.#rule),
      against: this.#against === null ? null : reportOf(this.#against),
      comparison: this.#comparison?.report() ?? null,
    };
  }

  #tested(options: BackTestOptions, rule: RuleDraft, side: "this" | "other"): Tested {
    const findings = new Findings({ ...options, rule });
    const run = new RuleRun({
      ...options,
      rule,
      fired: (firing, input) => {
        findings.take(firing, input);
        this.#comparison?.take(side, firing);
      },
    });
    return { rule, run, findings };
  }
}

function reportOf({ rule, run, findings }: Tested): RuleReport {
  return {
    ruleName: rule.ruleName,
    filter: run.sql.filter,
    counts: { ...run.counts },
    failure: run.failure,
    windows: run.stateCounts === null ? null : { ...run.stateCounts },
    unasked: [...new Set([...run.sql.externals, ...findings.externals])],
    findings: findings.report(),
  };
}
