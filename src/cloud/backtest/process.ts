/** A process that looks at the past for the platform: `child.ts` starts it for one order. The broker never waits for it. */
import { nodeSqlEnvironment } from "../../adapters/sql-environment.ts";
import { stepBack, systemClock } from "../../adapters/system.ts";
import { LIMITS, isTidewireError, reasonOf } from "../../base/mod.ts";
import type { JsonValue } from "../../base/mod.ts";
import type { Example, FindingsReport, RuleReport } from "../../rules/mod.ts";
import { TodaysAnswers } from "../../rules/mod.ts";
import type { ExternalName, ExternalRequest } from "../../sql/mod.ts";
import { explainRecent } from "./explain-recent.ts";
import { testOnPast } from "./past-test.ts";
import type { PastTestOrder, PastTestProgress, PastTestResult } from "./past-test.ts";
import type { FromPast, ToPast } from "./protocol.ts";
import { shortened, shortenedValue } from "./shown.ts";

/** Nice value: the broker first, then the store, then whoever looks back. */
const PRIORITY = 19;
const { progressPeriod, shownCharsMax } = LIMITS.backTests;

let stopped = false;

function send(news: FromPast): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(news, undefined, undefined, () => resolve());
    else resolve();
  });
}

interface Open {
  readonly resolve: (value: JsonValue | undefined) => void;
  readonly reject: (fault: Error) => void;
}

/** Bounded by the messages about which is asked at once. */
const open = new Map<number, Open>();
let asks = 0;

function askPlatform(request: ExternalRequest): Promise<JsonValue | undefined> {
  const id = asks++;
  return new Promise((resolve, reject) => {
    open.set(id, { resolve, reject });
    void send({ type: "ask", id, request });
  });
}

function answered({ id, value, fault }: ToPast & { readonly type: "answer" }): void {
  const waiting = open.get(id);
  open.delete(id);
  if (fault === undefined) waiting?.resolve(value);
  else waiting?.reject(new Error(fault));
}

function answersOf(asked: readonly ExternalName[]): TodaysAnswers {
  return new TodaysAnswers({ environment: { ...nodeSqlEnvironment(), external: askPlatform }, asked });
}

async function test(order: PastTestOrder, answers: TodaysAnswers): Promise<FromPast> {
  let told = Number.NEGATIVE_INFINITY;
  const goOn = (progress: PastTestProgress): boolean => {
    const now = systemClock.monotonic();
    if (now - told >= progressPeriod) {
      told = now;
      void send({ type: "progress", progress });
    }
    return !stopped;
  };
  const result = await testOnPast(order, { clock: systemClock, environment: nodeSqlEnvironment(), answers, goOn });
  return { type: "tested", result: bounded(result) };
}

/** A page shows it: values of a megabyte stay here. */
function bounded(result: PastTestResult): PastTestResult {
  const { rule, against } = result;
  return { ...result, rule: boundedRule(rule), against: against === null ? null : boundedRule(against) };
}

function boundedRule(report: RuleReport): RuleReport {
  const { findings, failure } = report;
  const { first, last } = findings;
  const bounded: FindingsReport = { ...findings, first: first.map(boundedExample), last: last.map(boundedExample) };
  return { ...report, failure: failure === null ? null : shortened(failure, shownCharsMax), findings: bounded };
}

function boundedExample(example: Example): Example {
  return { ...example, value: shortenedValue(example.value, shownCharsMax) };
}

async function answerTo(given: Exclude<ToPast, { type: "stop" | "answer" }>): Promise<FromPast> {
  try {
    const answers = answersOf(given.asked);
    if (given.type === "test") return await test(given.order, answers);
    return { type: "explained", past: await explainRecent(given.order, nodeSqlEnvironment(), answers) };
  } catch (error) {
    if (isTidewireError(error)) return { type: "refused", code: error.code, details: error.details };
    return { type: "failed", reason: reasonOf(error) };
  }
}

/** Not everywhere allowed, and nothing depends on it. */
function stepBackIfAllowed(): void {
  try {
    stepBack(PRIORITY);
  } catch {
    // it runs with the platform's priority
  }
}

function main(): void {
  stepBackIfAllowed();
  process.on("message", (order: ToPast) => {
    if (order.type === "stop") stopped = true;
    else if (order.type === "answer") answered(order);
    else
      void answerTo(order)
        .then(send)
        .then(() => process.disconnect());
  });
  process.on("disconnect", () => process.exit(0));
  // Ctrl-C reaches the whole group; the platform decides when this ends.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
}

main();
