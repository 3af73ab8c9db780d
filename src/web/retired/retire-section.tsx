/** The end of a thing's page: out of service for good, after saying what that means. */
import { useSignal } from "@preact/signals";
import { useId, useRef } from "preact/hooks";
import type { ApiError, ForgetReport, ThingDetail } from "../../cloud/api/contract.ts";
import { apiErrorOf, call } from "../api/client.ts";
import { may } from "../api/session.ts";
import { IconClose } from "../shell/icons.tsx";
import { go } from "../shell/router.ts";
import { meaningOf } from "./retired-words.ts";

export function Retire({ detail }: { readonly detail: ThingDetail }) {
  const heading = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  if (!may("certificates:write") || !may("fleet:write")) return null;
  return (
    <section class="values" aria-labelledby={heading}>
      <h2 id={heading}>Out of service</h2>
      <div class="access-entry">
        <span class="muted">
          For a device that is gone for good. What it has reported stays, unless you say otherwise.
        </span>
        <span class="access-actions">
          <button type="button" class="button" onClick={() => dialog.current?.showModal()}>
            Retire …
          </button>
        </span>
      </div>
      <dialog class="dialog" ref={dialog} aria-labelledby={`${heading}-ask`}>
        <RetireForm detail={detail} heading={`${heading}-ask`} close={() => dialog.current?.close()} />
      </dialog>
    </section>
  );
}

interface RetireFormProps {
  readonly detail: ThingDetail;
  readonly heading: string;
  readonly close: () => void;
}

function RetireForm({ detail, heading, close }: RetireFormProps) {
  const { thingName } = detail;
  const busy = useSignal(false);
  const typed = useSignal("");
  const error = useSignal<ApiError | null>(null);
  const isMeant = typed.value === thingName;
  const retire = async (data: FormData): Promise<void> => {
    if (busy.value || !isMeant) return;
    busy.value = true;
    error.value = null;
    try {
      const body = { eraseData: data.has("erase"), blockName: data.has("block") };
      await call<ForgetReport>(`api/things/${encodeURIComponent(thingName)}/retire`, { method: "POST", body });
      go({ page: "retired" });
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
    }
    busy.value = false;
  };
  return (
    <form
      class="retire-form"
      onSubmit={(event) => {
        event.preventDefault();
        void retire(new FormData(event.currentTarget));
      }}
    >
      <div class="dialog-head">
        <h2 id={heading}>Retire {thingName}?</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick={close}>
          <IconClose />
        </button>
      </div>
      <ul class="retire-meaning">
        {meaningOf(detail).map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      <Choices thing={thingName} onType={(text) => (typed.value = text.trim())} />
      {error.value !== null && (
        <p class="form-error" role="alert">
          <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
      <div class="retire-actions">
        <button type="button" class="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="button is-danger" disabled={!isMeant} aria-disabled={busy.value}>
          {busy.value ? "Retiring …" : "Retire it for good"}
        </button>
      </div>
    </form>
  );
}

interface ChoicesProps {
  readonly thing: string;
  readonly onType: (text: string) => void;
}

function Choices({ thing, onType }: ChoicesProps) {
  return (
    <>
      {may("telemetry:erase") && (
        <label class="switch">
          <input type="checkbox" name="erase" />
          Erase everything that it has reported
          <span class="hint">Otherwise its readings, messages and alerts are kept, and can still be queried.</span>
        </label>
      )}
      <label class="switch">
        <input type="checkbox" name="block" />
        Block its name
        <span class="hint">Otherwise another thing may be given the name, and its readings go on from these.</span>
      </label>
      <label class="retire-name">
        <span>
          Type <strong>{thing}</strong> to go on
        </span>
        <input
          name="name"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => onType(event.currentTarget.value)}
        />
      </label>
    </>
  );
}
