/** `#/rules`: all rules, what each does and what became of it. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { LIMITS } from "../../base/mod.ts";
import type { RulePage, RuleSummary } from "../../cloud/api/contract.ts";
import { withQuery } from "../api/client.ts";
import { may } from "../api/session.ts";
import { plural } from "../format/labels.ts";
import { formatAge, formatTime } from "../format/time.ts";
import { serverNow } from "../live/live.ts";
import { IconPlus, IconSearch, IconTable, IconWarning } from "../shell/icons.tsx";
import { hrefOf, replaceRoute } from "../shell/router.ts";
import { EmptyState, ErrorState, Skeleton } from "../shell/states.tsx";
import { usePolled } from "./polled.ts";
import { RuleTabs } from "./rule-tabs.tsx";
import { actionWords, activityWords, firstLine, troubleOf } from "./rule-words.ts";

const SEARCH_DELAY_MS = 200;
const PAGE_SIZE = 100;
const MOST = LIMITS.http.pageSizeMax;

export function RulesPage({ search }: { readonly search: string }) {
  const limit = useSignal(PAGE_SIZE);
  const { value, error, load } = usePolled<RulePage>(withQuery("api/rules", { search, limit: limit.value }));
  const page = value.value;
  return (
    <div class="page">
      <header class="page-head">
        <h1>Rules</h1>
        <div class="rules-tools">
          <SearchBox search={search} />
          {may("rules:write") && (
            <a class="button" href={hrefOf({ page: "new-rule" })}>
              <IconPlus />
              New rule
            </a>
          )}
        </div>
      </header>
      <RuleTabs at="rules" />
      {page === null ? (
        error.value === null ? (
          <Skeleton rows={4} label="Loading rules" />
        ) : (
          <ErrorState error={error.value} onRetry={() => void load()} />
        )
      ) : (
        <List page={page} search={search} onMore={() => (limit.value = MOST)} />
      )}
    </div>
  );
}

interface ListProps {
  readonly page: RulePage;
  readonly search: string;
  readonly onMore: () => void;
}

function List({ page, search, onMore }: ListProps) {
  const { rules, total, next } = page;
  if (total === 0) {
    return (
      <EmptyState icon={<IconTable />} title={search === "" ? "There is no rule" : "No rule speaks of that"}>
        {search === "" ? (
          <>
            <p>
              A rule looks at every message of its topics and does something with those that match: it raises an alert,
              calls a webhook, writes to Slack.
            </p>
            {may("rules:write") && (
              <p>
                <a class="button is-primary" href={hrefOf({ page: "new-rule" })}>
                  Write the first one
                </a>
              </p>
            )}
          </>
        ) : (
          <p>Names, statements and descriptions are searched.</p>
        )}
      </EmptyState>
    );
  }
  return (
    <>
      <ul class="rule-list">
        {rules.map((rule) => (
          <RuleRow key={rule.name} rule={rule} />
        ))}
      </ul>
      {next !== null && (
        <p class="rules-more">
          <span class="muted">
            {rules.length.toLocaleString("en")} of {plural(total, "rule")}
          </span>
          {rules.length < MOST ? (
            <button type="button" class="button" onClick={onMore}>
              Show more
            </button>
          ) : (
            <span class="muted">Search for the others.</span>
          )}
        </p>
      )}
    </>
  );
}

function RuleRow({ rule }: { readonly rule: RuleSummary }) {
  const { name, description, sql, disabled, actions, activity } = rule;
  const trouble = troubleOf(rule);
  return (
    <li class={`rule-row${disabled ? " is-off" : ""}${trouble === null ? "" : " is-troubled"}`} data-rule={name}>
      <p class="rule-name">
        <a class="thing-link" href={hrefOf({ page: "rule", name })}>
          {name}
        </a>
        {disabled && <span class="count">off</span>}
        {description !== null && <span class="muted">{description}</span>}
      </p>
      <code class="rule-sql">{firstLine(sql)}</code>
      <p class="alert-facts">
        <span>{actions.length === 0 ? "does nothing" : actions.map(actionWords).join(", ")}</span>
        {activity !== null && <span>{activityWords(activity)}</span>}
        {activity !== null && activity.lastMatchAt !== null && (
          <span title={formatTime(activity.lastMatchAt)}>
            last match {formatAge(Math.max(0, serverNow.value - activity.lastMatchAt))}
          </span>
        )}
      </p>
      {trouble !== null && (
        <p class="fact-warning rule-trouble">
          <IconWarning /> {trouble}
        </p>
      )}
    </li>
  );
}

function SearchBox({ search }: { readonly search: string }) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const onInput = ({ currentTarget }: { readonly currentTarget: HTMLInputElement }): void => {
    const text = currentTarget.value.trim();
    clearTimeout(timer.current);
    timer.current = setTimeout(() => replaceRoute({ page: "rules", search: text }), SEARCH_DELAY_MS);
  };
  return (
    <search class="search">
      <IconSearch />
      <input
        id="search"
        type="search"
        aria-label="Search rules"
        placeholder="Search rules"
        defaultValue={search}
        spellcheck={false}
        autocapitalize="off"
        onInput={onInput}
      />
    </search>
  );
}
