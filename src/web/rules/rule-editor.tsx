/** A rule's statement and the rest of it, checked by the platform while it is written. */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { ApiError, RuleCheck, RuleFault } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";
import { IconCheck } from "../shell/icons.tsx";
import { documentOf, markedLine } from "./rule-draft.ts";
import type { RuleText } from "./rule-draft.ts";

const CHECK_DELAY_MS = 300;

/** What is known of what is written; `checking`: the platform has not said yet. */
export type Finding =
  | { readonly kind: "checking" }
  | { readonly kind: "good"; readonly check: RuleCheck }
  | { readonly kind: "fault"; readonly fault: RuleFault }
  | { readonly kind: "no-json"; readonly reason: string }
  | { readonly kind: "unknown"; readonly error: ApiError };

/** Follows the text; the last answer counts, in whatever order they come. */
export function useFinding(name: string, text: RuleText): Signal<Finding> {
  const finding = useSignal<Finding>({ kind: "checking" });
  useEffect(() => {
    const draft = documentOf(text);
    if (!draft.ok) {
      finding.value = { kind: "no-json", reason: draft.reason };
      return () => {};
    }
    const abort = new AbortController();
    const timer = setTimeout(() => void check(), CHECK_DELAY_MS);
    const check = async (): Promise<void> => {
      try {
        const body = { name, document: draft.document };
        const options = { method: "POST", body, signal: abort.signal } as const;
        const found = await call<RuleCheck>("api/rules/check", options);
        if (abort.signal.aborted) return;
        finding.value = found.fault === null ? { kind: "good", check: found } : { kind: "fault", fault: found.fault };
      } catch (thrown) {
        if (!abort.signal.aborted) finding.value = { kind: "unknown", error: apiErrorOf(thrown) };
      }
    };
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [name, text.sql, text.rest]);
  return finding;
}

export interface RuleEditorProps {
  readonly text: Signal<RuleText>;
  readonly finding: Finding;
}

export function RuleEditor({ text, finding }: RuleEditorProps) {
  const id = useId();
  const sqlField = useRef<HTMLTextAreaElement>(null);
  const { sql, rest } = text.value;
  const inSql = finding.kind === "fault" && finding.fault.at === "sql";
  const inRest = finding.kind === "no-json" || (finding.kind === "fault" && finding.fault.at !== "sql");
  const goTo = (position: number): void => {
    sqlField.current?.focus();
    sqlField.current?.setSelectionRange(position, Math.min(sql.length, position + 1));
  };
  return (
    <div class="rule-editor">
      <label for={`${id}-sql`}>Statement</label>
      <textarea
        class="code-area"
        id={`${id}-sql`}
        ref={sqlField}
        rows={rowsOf(sql, 4)}
        value={sql}
        spellcheck={false}
        autocapitalize="off"
        aria-invalid={inSql}
        aria-describedby={`${id}-finding`}
        onInput={({ currentTarget }) => (text.value = { ...text.peek(), sql: currentTarget.value })}
      />
      <div id={`${id}-finding`} class="rule-finding" role="status">
        <FindingWords finding={finding} sql={sql} goTo={goTo} />
      </div>
      <label for={`${id}-rest`}>Actions and the rest, as JSON; *** stands for a secret that stays as it is</label>
      <textarea
        class="code-area"
        id={`${id}-rest`}
        rows={rowsOf(rest, 6)}
        value={rest}
        spellcheck={false}
        autocapitalize="off"
        aria-invalid={inRest}
        aria-describedby={`${id}-finding`}
        onInput={({ currentTarget }) => (text.value = { ...text.peek(), rest: currentTarget.value })}
      />
    </div>
  );
}

interface FindingWordsProps {
  readonly finding: Finding;
  readonly sql: string;
  readonly goTo: (position: number) => void;
}

function FindingWords({ finding, sql, goTo }: FindingWordsProps) {
  switch (finding.kind) {
    case "checking":
      return <p class="muted">Checking…</p>;
    case "good":
      return (
        <p class="rule-good">
          <IconCheck /> Valid: it looks at messages of <code>{finding.check.filter}</code>
          {finding.check.stateful && ", and remembers what it has seen"}
        </p>
      );
    case "no-json":
      return <p class="rule-fault">The rest is no JSON: {finding.reason}</p>;
    case "unknown":
      return (
        <p class="rule-fault">
          {finding.error.message} {finding.error.fix}
        </p>
      );
    case "fault":
      break;
  }
  const { at, line, column, position, reason, hint } = finding.fault;
  const marked = markedLine(sql, finding.fault);
  const place = at === "sql" ? (line === null ? "" : `Line ${line}, column ${column}: `) : at === "" ? "" : `${at}: `;
  return (
    <>
      <p class="rule-fault">
        {place}
        {reason}
        {hint !== null && ` ${hint}`}
      </p>
      {marked !== null && (
        <pre class="rule-place">
          {marked.line}
          {"\n"}
          <span aria-hidden="true">{marked.caret}</span>
        </pre>
      )}
      {position !== null && (
        <button type="button" class="button" onClick={() => goTo(position)}>
          Go there
        </button>
      )}
    </>
  );
}

function rowsOf(text: string, min: number): number {
  return Math.min(24, Math.max(min, text.split("\n").length + 1));
}
