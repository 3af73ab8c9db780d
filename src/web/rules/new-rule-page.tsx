/** `#/new-rule`: a statement and one action to begin with, tried on the past before it is there. */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useId } from "preact/hooks";
import type { ApiError } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";
import { may } from "../api/session.ts";
import { go } from "../shell/router.ts";
import { BackTestPanel } from "./back-test-panel.tsx";
import { ExplainPanel } from "./explain-panel.tsx";
import { documentOf } from "./rule-draft.ts";
import type { RuleText } from "./rule-draft.ts";
import { RuleEditor, useFinding } from "./rule-editor.tsx";
import { BackToRules } from "./rule-tabs.tsx";

const BEGINNING: RuleText = {
  sql: "SELECT *, topic(2) AS thing\nFROM 'telemetry/+/system'\nWHERE cpu.percent > 90",
  rest: JSON.stringify({ actions: [{ alert: { severity: "warning", summary: "CPU is busy on ${thing}" } }] }, null, 2),
};
/** Stands for the name while there is none: whether the rest is good is told before. */
const NAMELESS = "new_rule";

export function NewRulePage() {
  return (
    <div class="page">
      <BackToRules />
      <header class="page-head">
        <h1>New rule</h1>
      </header>
      {may("rules:write") ? <NewRule /> : <p class="muted">You may look at rules, not make them.</p>}
    </div>
  );
}

function NewRule() {
  const name = useSignal("");
  const text = useSignal<RuleText>(BEGINNING);
  const finding = useFinding(name.value === "" ? NAMELESS : name.value, text.value);
  const busy = useSignal(false);
  const error = useSignal<ApiError | null>(null);
  const written = documentOf(text.value);
  const create = async (): Promise<void> => {
    if (!written.ok || busy.value) return;
    busy.value = true;
    try {
      await call<object>(`rules/${encodeURIComponent(name.value)}`, { method: "POST", body: written.document });
      go({ page: "rule", name: name.value });
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
      busy.value = false;
    }
  };
  return (
    <>
      <form
        class="rule-section"
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <NameField name={name} />
        <RuleEditor text={text} finding={finding.value} />
        {error.value !== null && (
          <p class="inline-error" role="alert">
            <strong>{error.value.message}</strong> {error.value.fix}
          </p>
        )}
        <div class="rules-tools">
          <button type="submit" class="button is-primary" disabled={busy.value || finding.value.kind !== "good"}>
            Create
          </button>
          <span class="muted">It sees messages from then on; on those before, it can be tried below.</span>
        </div>
      </form>
      {written.ok && (
        <>
          <BackTestPanel rule={{ name: NAMELESS, document: written.document }} against={null} />
          <ExplainPanel rule={{ name: NAMELESS, document: written.document }} edited />
        </>
      )}
    </>
  );
}

function NameField({ name }: { readonly name: Signal<string> }) {
  const id = useId();
  return (
    <div class="rule-editor">
      <label for={id}>Name</label>
      <input
        class="code-area"
        id={id}
        value={name.value}
        required
        maxLength={128}
        pattern="[a-zA-Z0-9_]+"
        title="Letters, digits and _"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        onInput={({ currentTarget }) => (name.value = currentTarget.value)}
      />
    </div>
  );
}
