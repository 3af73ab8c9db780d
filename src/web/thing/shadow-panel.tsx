/** What a thing should be, and what it says that it is; an administrator may change what it should be. */
import { useSignal } from "@preact/signals";
import { useEffect, useId, useMemo } from "preact/hooks";
import type { ApiError, ShadowDocument, ThingShadow } from "../../cloud/api/contract.ts";
import { apiErrorOf } from "../api/client.ts";
import { plural } from "../format/labels.ts";
import { formatAge, formatTime } from "../format/time.ts";
import { live, serverNow } from "../live/live.ts";
import { IconCheck, IconWarning } from "../shell/icons.tsx";
import { changeBetween, parseSection, rowsOf } from "./shadow-rows.ts";
import type { ShadowRow } from "./shadow-rows.ts";
import { ShadowStore } from "./shadow-store.ts";

const NONE_YET: ThingShadow = { name: "", document: { state: {}, metadata: {}, version: 0, timestamp: 0 } };

export function Shadows({ thing }: { readonly thing: string }) {
  const store = useMemo(() => new ShadowStore(thing, live), [thing]);
  useEffect(() => () => store.stop(), [store]);
  const shadows = store.shadows.value;
  const error = store.error.value;
  if (shadows === null && error === null) return null;
  const classic = shadows?.some(({ name }) => name === "") ?? true;
  return (
    <section class="values shadows">
      <h2>Shadows</h2>
      {error !== null && (
        <p class="inline-error" role="alert">
          {error.message} {error.fix}
        </p>
      )}
      {shadows?.map((shadow) => (
        <ShadowCard key={shadow.name} shadow={shadow} store={store} />
      ))}
      {!classic && <ShadowCard key="" shadow={NONE_YET} store={store} />}
    </section>
  );
}

function ShadowCard({ shadow, store }: { readonly shadow: ThingShadow; readonly store: ShadowStore }) {
  const editing = useSignal(false);
  const { name, document } = shadow;
  const title = name === "" ? "Classic shadow" : name;
  const rows = rowsOf(document);
  const exists = document.version > 0;
  return (
    <article class="shadow-card" aria-label={title}>
      <header class="shadow-head">
        <h3>{title}</h3>
        {exists ? <Agreement rows={rows} document={document} /> : <p class="muted">There is none yet.</p>}
        {!editing.value && (
          <button type="button" class="button" onClick={() => (editing.value = true)}>
            {exists ? "Edit desired" : "Set desired"}
          </button>
        )}
      </header>
      {editing.value && <Editor shadow={shadow} store={store} onClose={() => (editing.value = false)} />}
      {rows.length > 0 && <Rows rows={rows} title={title} />}
    </article>
  );
}

function Agreement({ rows, document }: { readonly rows: readonly ShadowRow[]; readonly document: ShadowDocument }) {
  const differing = rows.filter((row) => row.differs).length;
  return (
    <p class="muted shadow-facts">
      {differing > 0 ? (
        <span class="fact-warning">
          <IconWarning /> {plural(differing, "value")} not reported as desired
        </span>
      ) : (
        <span class="shadow-agrees">
          <IconCheck /> as desired
        </span>
      )}
      <span>version {document.version}</span>
    </p>
  );
}

function Rows({ rows, title }: { readonly rows: readonly ShadowRow[]; readonly title: string }) {
  return (
    <div class="table-frame" tabIndex={0} role="region" aria-label={`Values of ${title}`}>
      <table role="table">
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">
              Value
            </th>
            <th role="columnheader" scope="col">
              Desired
            </th>
            <th role="columnheader" scope="col">
              Reported
            </th>
            <th role="columnheader" scope="col">
              Set
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr role="row" key={row.path} class={row.differs ? "differs" : ""}>
              <th role="rowheader" scope="row">
                {row.path}
              </th>
              <td role="cell">
                <code>{row.desired ?? "–"}</code>
              </td>
              <td role="cell">
                <code>{row.reported ?? "–"}</code>
                {row.differs && (
                  <span class="fact-warning shadow-mark">
                    <IconWarning /> differs
                  </span>
                )}
              </td>
              <td role="cell" class="muted" title={formatTime(row.changedAt * 1000)}>
                {formatAge(Math.max(0, serverNow.value - row.changedAt * 1000))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface EditorProps {
  readonly shadow: ThingShadow;
  readonly store: ShadowStore;
  readonly onClose: () => void;
}

/** Edits what was there when it was opened; where somebody else changes it meanwhile, saving says so. */
function Editor({ shadow, store, onClose }: EditorProps) {
  const id = useId();
  const opened = useMemo(() => shadow.document, []);
  const before = opened.state.desired ?? {};
  const text = useSignal(JSON.stringify(before, null, 2));
  const problem = useSignal<string | null>(null);
  const saving = useSignal(false);
  const save = async (): Promise<void> => {
    const parsed = parseSection(text.value);
    if ("problem" in parsed) {
      problem.value = parsed.problem;
      return;
    }
    const change = changeBetween(before, parsed.section);
    if (opened.version > 0 && Object.keys(change).length === 0) {
      onClose();
      return;
    }
    saving.value = true;
    try {
      await store.change(shadow.name, change, opened.version);
      onClose();
    } catch (thrown) {
      problem.value = sentenceOf(apiErrorOf(thrown));
    } finally {
      saving.value = false;
    }
  };
  return (
    <form
      class="shadow-editor"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <label for={id}>Desired state, as JSON</label>
      <textarea
        class="code-area"
        id={id}
        spellcheck={false}
        autocapitalize="off"
        rows={Math.min(24, Math.max(5, text.value.split("\n").length + 1))}
        value={text.value}
        aria-invalid={problem.value !== null}
        aria-describedby={`${id}-problem`}
        onInput={({ currentTarget }) => {
          text.value = currentTarget.value;
          problem.value = null;
        }}
      />
      <p class="inline-error" id={`${id}-problem`} role="alert" hidden={problem.value === null}>
        {problem.value}
      </p>
      <div class="shadow-buttons">
        <button type="submit" class="button is-primary" disabled={saving.value}>
          Save
        </button>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function sentenceOf({ code, message, fix }: ApiError): string {
  if (code === "SHADOW_VERSION_CONFLICT") {
    return "The shadow has changed since you opened it. Cancel, look at what it is now, and edit it again.";
  }
  return /[.!?]$/.test(message) ? `${message} ${fix}` : `${message}. ${fix}`;
}
