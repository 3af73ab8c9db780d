/** What a back-test found: how often, when, on what, with examples, and what only one of two rules fires on. */
import type { BackTestExample, BackTestOfRule, BackTestResult } from "../../cloud/api/contract.ts";
import { plural } from "../format/labels.ts";
import { formatTime } from "../format/time.ts";
import { IconInfo } from "../shell/icons.tsx";
import { hrefOf } from "../shell/router.ts";
import { Stat } from "../shell/stat.tsx";
import { thingWords } from "./rule-words.ts";
import { barsOf, firedWords, readWords, restWords, valueText } from "./back-test-words.ts";

export function BackTestFindings({
  result,
  compared,
}: {
  readonly result: BackTestResult;
  readonly compared: boolean;
}) {
  const { rule, against, comparison, notes } = result;
  const max = Math.max(...rule.findings.histogram.counts, ...(against?.findings.histogram.counts ?? []));
  return (
    <div class="back-test" data-fired={rule.findings.fired} data-against={against?.findings.fired}>
      <RuleFindings report={rule} name={compared ? "As edited, it" : "It"} max={max} />
      {against !== null && <RuleFindings report={against} name="As it runs, it" max={max} />}
      {comparison !== null && <Comparison comparison={comparison} />}
      <p class="muted">{readWords(result)}</p>
      {notes.map((note) => (
        <p class="muted back-test-note" key={note}>
          <IconInfo /> {note}
        </p>
      ))}
    </div>
  );
}

interface RuleFindingsProps {
  readonly report: BackTestOfRule;
  readonly name: string;
  readonly max: number;
}

function RuleFindings({ report, name, max }: RuleFindingsProps) {
  const { findings } = report;
  const { things, thingsCounted, first, last, fired } = findings;
  return (
    <section class="back-test-rule" aria-label={name}>
      <p class="back-test-verdict" role="status">
        {name} {firedWords(report)}.
      </p>
      {fired > 0 && <Histogram report={report} max={max} />}
      {restWords(report).map((words) => (
        <p class="muted" key={words}>
          {words}
        </p>
      ))}
      {things.length > 0 && (
        <ul class="back-test-things" aria-label="On what">
          {things.map((one) => (
            <li key={one.thing}>
              <ThingLink thing={one.thing} />
              <span class="muted">{one.fired.toLocaleString("en")}</span>
            </li>
          ))}
          {thingsCounted > things.length && (
            <li class="muted">and {plural(thingsCounted - things.length, "other thing")}</li>
          )}
        </ul>
      )}
      <Examples title={last.length === 0 ? "All of them" : "The first"} examples={first} />
      <Examples title="The last" examples={last} />
    </section>
  );
}

function ThingLink({ thing }: { readonly thing: string }) {
  if (thing === "") return <span>{thingWords(thing)}</span>;
  return (
    <a class="link" href={hrefOf({ page: "thing", thing, range: null })}>
      {thing}
    </a>
  );
}

const HEIGHT = 64;
/** A firing among thousands is still seen. */
const LEAST = 2;
const BAR = 0.82;

function Histogram({ report, max }: { readonly report: BackTestOfRule; readonly max: number }) {
  const { histogram } = report.findings;
  const { from, step, counts } = histogram;
  const to = from + step * counts.length;
  return (
    <figure class="histogram">
      <svg
        viewBox={`0 0 ${counts.length} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`When: at most ${max.toLocaleString("en")} at once, from ${formatTime(from)} to ${formatTime(to)}`}
      >
        {barsOf(histogram, { max, height: HEIGHT, least: LEAST }).map((bar) => (
          <rect key={bar.x} x={bar.x} y={bar.y} width={BAR} height={bar.height}>
            <title>{`${formatTime(bar.from)}: ${plural(bar.count, "time")}`}</title>
          </rect>
        ))}
      </svg>
      <figcaption class="muted">
        <span>{formatTime(from, "day-minute")}</span>
        <span>at most {max.toLocaleString("en")}</span>
        <span>{formatTime(to, "day-minute")}</span>
      </figcaption>
    </figure>
  );
}

function Examples({ title, examples }: { readonly title: string; readonly examples: readonly BackTestExample[] }) {
  if (examples.length === 0) return null;
  return (
    <details class="back-test-examples">
      <summary>
        {title} ({examples.length})
      </summary>
      <ol>
        {examples.map((example) => (
          <li key={`${example.offset} ${example.time}`}>
            <p class="alert-facts">
              <span>{formatTime(example.time)}</span>
              <span>{thingWords(example.thing)}</span>
              <span>{example.topic}</span>
            </p>
            <code>{valueText(example.value)}</code>
            {example.actions.map(({ kind, body }, i) => (
              <p class="back-test-sent" key={i}>
                <span class="muted">{kind} would have got</span> <code>{body}</code>
              </p>
            ))}
          </li>
        ))}
      </ol>
    </details>
  );
}

function Comparison({ comparison }: { readonly comparison: NonNullable<BackTestResult["comparison"]> }) {
  const { both, onlyThis, onlyOther, settledEarly } = comparison;
  return (
    <section class="back-test-rule" aria-label="Compared">
      <dl class="stats">
        <Stat label="Both fire" value={both} />
        <Stat label="Only as edited" value={onlyThis.count} />
        <Stat label="Only as it runs" value={onlyOther.count} />
      </dl>
      <OnlyOne title="Only as edited" marks={onlyThis.first} />
      <OnlyOne title="Only as it runs" marks={onlyOther.first} />
      {settledEarly > 0 && (
        <p class="muted">{plural(settledEarly, "window")} were too many to wait for: the counts may be off by them.</p>
      )}
    </section>
  );
}

type Marks = NonNullable<BackTestResult["comparison"]>["onlyThis"]["first"];

function OnlyOne({ title, marks }: { readonly title: string; readonly marks: Marks }) {
  if (marks.length === 0) return null;
  return (
    <details class="back-test-examples">
      <summary>
        {title}: the first {marks.length}
      </summary>
      <ol>
        {marks.map(({ offset, time, thing, topic }) => (
          <li class="alert-facts" key={`${offset} ${time}`}>
            <span>{formatTime(time)}</span>
            <span>{thingWords(thing)}</span>
            <span>{topic}</span>
          </li>
        ))}
      </ol>
    </details>
  );
}
