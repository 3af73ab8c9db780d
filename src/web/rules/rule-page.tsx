/** `#/rules/NAME`: one rule: what it does, what became of it, why a message matches, and what it would have done. */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ApiError, RuleDetail, RuleDocumentView, RuleInput } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";
import { may } from "../api/session.ts";
import { useLoaded } from "../people/loaded.ts";
import { Confirm } from "../people/parts.tsx";
import { IconWarning } from "../shell/icons.tsx";
import { go } from "../shell/router.ts";
import { ErrorState, Skeleton } from "../shell/states.tsx";
import { BackTestPanel } from "./back-test-panel.tsx";
import { ExplainPanel } from "./explain-panel.tsx";
import { usePolled } from "./polled.ts";
import { Receivers } from "./receivers.tsx";
import { documentOf, textOf } from "./rule-draft.ts";
import type { RuleText } from "./rule-draft.ts";
import { RuleEditor, useFinding } from "./rule-editor.tsx";
import { RuleFacts } from "./rule-facts.tsx";
import { saveRule, switchRule } from "./rule-save.ts";
import { BackToRules } from "./rule-tabs.tsx";
import { describedActions } from "./rule-words.ts";

export function RulePage({ name }: { readonly name: string }) {
  const path = `api/rules/${encodeURIComponent(name)}`;
  const detail = usePolled<RuleDetail>(path);
  const document = useLoaded<RuleDocumentView>(`${path}/document`);
  const draft = useSignal<RuleText | null>(null);
  const reload = async (): Promise<void> => {
    await Promise.all([detail.load(), document.load()]);
  };
  // Somebody else has changed it.
  const { sql, disabled } = detail.value.value ?? {};
  useEffect(() => void document.load(), [sql, disabled]);
  const error = detail.error.value ?? document.error.value;
  if (detail.value.value === null || document.value.value === null) {
    return (
      <div class="page">
        {error === null ? (
          <>
            <header class="page-head">
              <h1>{name}</h1>
            </header>
            <Skeleton rows={5} label="Loading the rule" />
          </>
        ) : (
          <ErrorState alone error={error} onRetry={() => void reload()} />
        )}
      </div>
    );
  }
  return (
    <div class="page">
      <Head rule={detail.value.value} reload={reload} />
      {detail.error.value !== null && (
        <p class="inline-error" role="alert">
          <strong>{detail.error.value.message}</strong> {detail.error.value.fix}
        </p>
      )}
      <RuleFacts rule={detail.value.value} />
      <Statement
        name={name}
        view={document.value.value}
        draft={draft}
        reload={reload}
        load={async () => {
          await document.load();
          return document.value.peek();
        }}
      />
      <Receivers receivers={detail.value.value.receivers} />
      <Tries name={name} draft={draft.value} />
    </div>
  );
}

function Head({ rule, reload }: { readonly rule: RuleDetail; readonly reload: () => Promise<void> }) {
  const { name, description, disabled } = rule;
  const busy = useSignal(false);
  const error = useSignal<ApiError | null>(null);
  const change = async (work: () => Promise<void>): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    try {
      await work();
      error.value = null;
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
    }
    busy.value = false;
  };
  const toggle = async (): Promise<void> => {
    await switchRule(name, disabled);
    await reload();
  };
  const remove = async (): Promise<void> => {
    await call<object>(`rules/${encodeURIComponent(name)}`, { method: "DELETE" });
    go({ page: "rules", search: "" });
  };
  return (
    <>
      <BackToRules />
      <header class="page-head">
        <div>
          <h1>{name}</h1>
          {description !== null && <p class="muted">{description}</p>}
        </div>
        <div class="rules-tools">
          <span class={disabled ? "rule-state is-off" : "rule-state"} data-state={disabled ? "off" : "on"}>
            {disabled ? "Switched off" : "Runs"}
          </span>
          {may("rules:write") && (
            <>
              <button type="button" class="button" aria-disabled={busy.value} onClick={() => void change(toggle)}>
                {disabled ? "Switch on" : "Switch off"}
              </button>
              <Confirm label="Delete" about={name} sure="Delete now" onConfirm={() => void change(remove)} />
            </>
          )}
        </div>
      </header>
      {error.value !== null && (
        <p class="inline-error" role="alert">
          <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
    </>
  );
}

interface StatementProps {
  readonly name: string;
  readonly view: RuleDocumentView;
  readonly draft: Signal<RuleText | null>;
  readonly reload: () => Promise<void>;
  /** What is there now; null where it is not known. */
  readonly load: () => Promise<RuleDocumentView | null>;
}

function Statement({ name, view, draft, reload, load }: StatementProps) {
  const editing = draft.value !== null;
  // Of what is there now, or it would be a conflict from the beginning.
  const edit = async (): Promise<void> => {
    const { document } = (await load()) ?? view;
    draft.value = textOf(document);
  };
  return (
    <section class="rule-section" aria-label="Statement and actions">
      <header class="rule-section-head">
        <h2>Statement</h2>
        {!editing && may("rules:write") && (
          <button type="button" class="button" onClick={() => void edit()}>
            Edit
          </button>
        )}
      </header>
      {editing ? (
        <EditForm name={name} view={view} draft={draft as Signal<RuleText>} reload={reload} />
      ) : (
        <>
          <pre class="rule-code">{textOf(view.document).sql}</pre>
          <ActionList view={view} />
        </>
      )}
    </section>
  );
}

function ActionList({ view: { document } }: { readonly view: RuleDocumentView }) {
  const actions = describedActions(document);
  if (actions.length === 0) return <p class="muted">It does nothing with what matches.</p>;
  return (
    <ul class="action-list" aria-label="Actions">
      {actions.map(({ kind, settings }, i) => (
        <li key={i}>
          <strong>{kind}</strong>
          {settings.length > 0 && (
            <dl class="action-settings">
              {settings.map((setting) => (
                <div key={setting.name}>
                  <dt>{setting.name}</dt>
                  <dd>{setting.value}</dd>
                </div>
              ))}
            </dl>
          )}
        </li>
      ))}
    </ul>
  );
}

interface EditFormProps extends Omit<StatementProps, "draft" | "load"> {
  readonly draft: Signal<RuleText>;
}

/** Edits what was there when it was opened. */
function EditForm({ name, view, draft, reload }: EditFormProps) {
  const opened = useSignal(view.document).peek();
  const finding = useFinding(name, draft.value);
  const busy = useSignal(false);
  const error = useSignal<ApiError | null>(null);
  const close = (): void => void ((draft as Signal<RuleText | null>).value = null);
  // Nothing that was written goes with the window.
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, []);
  const save = async (): Promise<void> => {
    const written = documentOf(draft.value);
    if (!written.ok || busy.value) return;
    busy.value = true;
    try {
      await saveRule(name, written.document, opened);
      await reload();
      close();
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
      busy.value = false;
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <RuleEditor text={draft} finding={finding.value} />
      {error.value !== null && (
        <p class="inline-error" role="alert">
          <IconWarning /> <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
      <div class="rules-tools">
        <button type="submit" class="button is-primary" disabled={busy.value || finding.value.kind !== "good"}>
          Save
        </button>
        <button type="button" class="button" onClick={close}>
          Cancel
        </button>
        <span class="muted">Try it on the past below before you save.</span>
      </div>
    </form>
  );
}

/** While it is edited, the edited one is tried, beside the one that runs. */
function Tries({ name, draft }: { readonly name: string; readonly draft: RuleText | null }) {
  const written = draft === null ? null : documentOf(draft);
  if (written !== null && !written.ok) return null;
  const rule: RuleInput = written === null ? { name } : { name, document: written.document };
  return (
    <>
      {may("rules:write") && <BackTestPanel rule={rule} against={written === null ? null : { name }} />}
      {may("telemetry:read") && <ExplainPanel rule={rule} edited={written !== null} />}
    </>
  );
}
