/** A back-test's result for people. */
import type { EpochMs } from "../base/mod.ts";
import type { PastTestResult } from "../cloud/backtest/mod.ts";
import type { Example, FindingsReport, FiringMark, RuleReport } from "../rules/mod.ts";
import { table } from "./output.ts";

const BARS = " ▁▂▃▄▅▆▇█";
const VALUE_CHARS_MAX = 160;
const THINGS_SHOWN = 10;

export function printedTest(result: PastTestResult): string {
  const { rule, against, comparison, messages, notes, complete, took, unanswered } = result;
  const { log, archive, forgotten, unreadable } = messages;
  const rate = took <= 0 ? 0 : Math.round(((log + archive) / took) * 1000);
  const lines = [
    `${time(result.from)} to ${time(result.to)}${complete ? "" : " (stopped before the end)"}`,
    `${log} messages of the log and ${archive} of the archive read in ${(took / 1000).toFixed(1)} s (${rate}/s)`,
  ];
  if (forgotten > 0) lines.push(`${forgotten} of forgotten things were skipped`);
  if (unreadable > 0) lines.push(`${unreadable} records could not be read`);
  if (unanswered.count > 0) lines.push(`${unanswered.count} times there was no answer; first: ${unanswered.reason}`);
  lines.push(...notes, "", ...ofRule(rule));
  if (against !== null) lines.push("", ...ofRule(against));
  if (comparison !== null && against !== null) {
    const { both, onlyThis, onlyOther, settledEarly } = comparison;
    lines.push("", `Both fire on ${both}.`);
    lines.push(...onlyOne(rule.ruleName, "first", onlyThis), ...onlyOne(against.ruleName, "second", onlyOther));
    if (settledEarly > 0)
      lines.push(`${settledEarly} windows were too many to wait for: the counts may be off by them.`);
  }
  return lines.join("\n");
}

function ofRule({ ruleName, filter, counts, failure, windows, unasked, askedToday, findings }: RuleReport): string[] {
  const { evaluated, unmatched, undecided, failed } = counts;
  const lines = [
    `${ruleName} would have fired ${findings.fired} times`,
    `  ${evaluated} messages on ${JSON.stringify(filter)}: ${unmatched} did not match, ${undecided} were undecided (a key is missing, or of another type)`,
  ];
  if (failure !== null) lines.push(`  it failed on ${failed}; the first time: ${failure}`);
  if (windows !== null) {
    const { late, crowded, keyless, evicted } = windows;
    lines.push(
      `  windows: ${late} late, ${crowded} too many at once, ${keyless} without a key, ${evicted} keys evicted`,
    );
  }
  if (unasked.length > 0) lines.push(`  ${unasked.join(", ")} cannot be asked about the past: Undefined`);
  if (askedToday.length > 0) lines.push(`  answers of ${askedToday.join(", ")} are today's, not those of then`);
  if (findings.fired === 0) return lines;
  lines.push(...chart(findings), ...onWhat(findings));
  for (const { kind, times } of findings.actions) lines.push(`  ${kind}: ${times} times (not executed)`);
  lines.push("  first:", ...findings.first.map(exampleLine));
  if (findings.last.length > 0) lines.push("  last:", ...findings.last.map(exampleLine));
  return lines;
}

function chart({ histogram: { from, step, counts } }: FindingsReport): string[] {
  const most = Math.max(...counts);
  const bars = counts.map((count) => BARS[count === 0 ? 0 : Math.max(1, Math.round((count / most) * 8))]).join("");
  return [`  |${bars}| at most ${most} in ${span(step)}`, `   ${time(from)} → ${time(from + step * counts.length)}`];
}

function onWhat({ things, thingsCounted, thingsUncounted }: FindingsReport): string[] {
  const rows = things.slice(0, THINGS_SHOWN).map(({ thing, fired }) => [`  ${printable(thing)}`, String(fired)]);
  const more = thingsCounted - rows.length;
  const lines = table([["  THING", "FIRED"], ...rows]).split("\n");
  if (more > 0 || thingsUncounted > 0) lines.push(`  and ${more}${thingsUncounted > 0 ? " or more" : ""} others`);
  return lines;
}

function exampleLine({ offset, time: at, thing, topic, value }: Example): string {
  return `    ${offset}  ${time(at)}  ${printable(thing)}  ${printable(topic)}  ${shortened(JSON.stringify(value) ?? "")}`;
}

function onlyOne(
  name: string,
  which: string,
  { count, first }: { readonly count: number; readonly first: readonly FiringMark[] },
): string[] {
  const marks = first.map(
    ({ offset, time: at, thing, topic }) => `    ${offset}  ${time(at)}  ${printable(thing)}  ${printable(topic)}`,
  );
  return [`Only the ${which} (${name}) fires on ${count}${count === 0 ? "." : ":"}`, ...marks];
}

function shortened(text: string): string {
  return printable(text.length <= VALUE_CHARS_MAX ? text : `${text.slice(0, VALUE_CHARS_MAX)}…`);
}

/** Nothing that a device sent moves the cursor. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "�");
}

function span(step: number): string {
  const minutes = step / 60_000;
  return minutes >= 120
    ? `${(minutes / 60).toFixed(1)} h`
    : minutes >= 2
      ? `${minutes.toFixed(0)} min`
      : `${(step / 1000).toFixed(0)} s`;
}

function time(at: EpochMs): string {
  return new Date(at).toISOString();
}
