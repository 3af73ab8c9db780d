/** One dead letter: why, when and what; sent again as it is or corrected, or discarded. */
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import type { ApiError, DeadLetterHead, DeadLetterView } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";
import { may } from "../api/session.ts";
import { plural } from "../format/labels.ts";
import { formatAge, formatTime } from "../format/time.ts";
import { serverNow } from "../live/live.ts";
import { Confirm } from "../people/parts.tsx";
import { IconWarning } from "../shell/icons.tsx";
import { hrefOf } from "../shell/router.ts";

export interface DeadLetterRowProps {
  readonly letter: DeadLetterHead;
  /** It is not here any more, or is another. */
  readonly onDone: () => void;
}

export function DeadLetterRow({ letter, onDone }: DeadLetterRowProps) {
  const { number, label, kind, lastError, preview, bodyBytes } = letter;
  const open = useSignal(false);
  const error = useSignal<ApiError | null>(null);
  const act = async (verb: "replay" | "drop"): Promise<void> => {
    try {
      await call<object>(`api/dead-letters/${verb}`, { method: "POST", body: { number } });
      onDone();
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
    }
  };
  return (
    <li class="letter" data-letter={number}>
      <p class="letter-reason">
        <IconWarning />
        {lastError}
      </p>
      <Facts letter={letter} />
      {!open.value && (
        <code class="letter-preview">{preview ?? `(${plural(bodyBytes, "byte")} that are not text)`}</code>
      )}
      {error.value !== null && (
        <p class="inline-error" role="alert">
          <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
      {open.value && <Whole letter={letter} onClose={() => (open.value = false)} onDone={onDone} />}
      <div class="rules-tools">
        {!open.value && (
          <button type="button" class="button" onClick={() => (open.value = true)}>
            {may("rules:write") ? "Look and edit" : "Look"}
            <span class="sr-only">{` at letter ${number}`}</span>
          </button>
        )}
        {may("rules:write") && !open.value && (
          <>
            <button type="button" class="button" onClick={() => void act("replay")}>
              Send again<span class="sr-only">{` letter ${number} to ${label === "" ? kind : label}`}</span>
            </button>
            <Confirm label="Discard" about={`letter ${number}`} sure="Discard now" onConfirm={() => void act("drop")} />
          </>
        )}
      </div>
    </li>
  );
}

function Facts({ letter }: { readonly letter: DeadLetterHead }) {
  const { rule, label, kind, things, attempts, diedAt, number } = letter;
  return (
    <p class="alert-facts">
      <span>{label === "" ? kind : label}</span>
      {rule === null ? (
        <span>a notification</span>
      ) : (
        <a class="link" href={hrefOf({ page: "rule", name: rule })}>
          {rule}
        </a>
      )}
      {things
        .filter((thing) => thing !== "")
        .map((thing) => (
          <a key={thing} class="link" href={hrefOf({ page: "thing", thing, range: null })}>
            {thing}
          </a>
        ))}
      <span>{plural(attempts, "attempt")}</span>
      <time dateTime={new Date(diedAt).toISOString()} title={formatTime(diedAt)}>
        given up {formatAge(Math.max(0, serverNow.value - diedAt))}
      </time>
      <span>letter {number}</span>
    </p>
  );
}

interface WholeProps extends DeadLetterRowProps {
  readonly onClose: () => void;
}

function Whole({ letter, onClose, onDone }: WholeProps) {
  const { number } = letter;
  const view = useSignal<DeadLetterView | null>(null);
  const error = useSignal<ApiError | null>(null);
  useEffect(() => {
    call<DeadLetterView>(`api/dead-letters/${number}`).then(
      (found) => (view.value = found),
      (thrown: unknown) => (error.value = apiErrorOf(thrown)),
    );
  }, [number]);
  return (
    <>
      {error.value !== null && (
        <p class="inline-error" role="alert">
          <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
      {view.value === null ? (
        error.value === null && <p class="muted">Loading…</p>
      ) : (
        <Editor view={view.value} onClose={onClose} onDone={onDone} />
      )}
    </>
  );
}

interface EditorProps {
  readonly view: DeadLetterView;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

/** What was not touched is not sent: bytes that are no text stay as they are. */
function Editor({ view, onClose, onDone }: EditorProps) {
  const { number, body, bodyBase64 } = view;
  const fieldsBefore = JSON.stringify(view.fields, null, 2);
  const text = useSignal(body ?? bodyBase64 ?? "");
  const fields = useSignal(fieldsBefore);
  const error = useSignal<ApiError | null>(null);
  const busy = useSignal(false);
  const writes = may("rules:write");
  const changeOf = (): object => ({
    ...(text.value === (body ?? bodyBase64)
      ? {}
      : body === undefined
        ? { bodyBase64: text.value }
        : { body: text.value }),
    ...(fields.value === fieldsBefore ? {} : { fields: JSON.parse(fields.value) as object }),
  });
  const save = async (send: boolean): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    try {
      const change = changeOf();
      const path = `api/dead-letters/${number}`;
      if (Object.keys(change).length > 0) await call<DeadLetterView>(path, { method: "PATCH", body: change });
      if (send) await call<object>("api/dead-letters/replay", { method: "POST", body: { number } });
      onDone();
      onClose();
    } catch (thrown) {
      error.value = thrown instanceof SyntaxError ? NO_JSON : apiErrorOf(thrown);
    }
    busy.value = false;
  };
  return (
    <form
      class="rule-editor"
      onSubmit={(event) => {
        event.preventDefault();
        void save(true);
      }}
    >
      <Area
        label={body === undefined ? "Body, in base64: it is no text" : "Body"}
        text={text}
        readOnly={!writes}
        rows={{ min: 4, max: 20 }}
      />
      <Area label="Fields beside it, as JSON" text={fields} readOnly={!writes} rows={{ min: 3, max: 12 }} />
      {error.value !== null && (
        <p class="inline-error" role="alert">
          <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
      <div class="rules-tools">
        {writes && (
          <>
            <button type="submit" class="button is-primary" disabled={busy.value}>
              Send again
            </button>
            <button type="button" class="button" disabled={busy.value} onClick={() => void save(false)}>
              Keep, do not send
            </button>
          </>
        )}
        <button type="button" class="button" onClick={onClose}>
          {writes ? "Cancel" : "Close"}
        </button>
      </div>
    </form>
  );
}

interface AreaProps {
  readonly label: string;
  readonly text: Signal<string>;
  readonly readOnly: boolean;
  readonly rows: { readonly min: number; readonly max: number };
}

function Area({ label, text, readOnly, rows: { min, max } }: AreaProps) {
  const id = useId();
  return (
    <>
      <label for={id}>{label}</label>
      <textarea
        class="code-area"
        id={id}
        rows={Math.min(max, Math.max(min, text.value.split("\n").length + 1))}
        spellcheck={false}
        readOnly={readOnly}
        value={text.value}
        onInput={({ currentTarget }) => (text.value = currentTarget.value)}
      />
    </>
  );
}

const NO_JSON: ApiError = {
  code: "REQUEST_INVALID",
  message: "The fields are no JSON.",
  fix: 'Write them as {"topic": "a/b"}.',
};
