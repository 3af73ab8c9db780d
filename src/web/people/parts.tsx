/** What the pages about people are made of. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { apiErrorOf } from "../api/client.ts";
import type { ApiError } from "../../cloud/api/contract.ts";
import { Command, Skeleton } from "../shell/states.tsx";

export interface SectionProps {
  readonly title: string;
  readonly error: ApiError | null;
  readonly loading: boolean;
  readonly children: ComponentChildren;
}

export function Section({ title, error, loading, children }: SectionProps) {
  return (
    <section class="people-section">
      <h2>{title}</h2>
      {error !== null && (
        <p class="inline-error" role="alert">
          <strong>{error.message}</strong> {error.fix}
        </p>
      )}
      {loading ? error === null && <Skeleton rows={3} label={`Loading: ${title}`} /> : children}
    </section>
  );
}

/** Something that is told once: it must be copied now. */
export function Once({
  title,
  text,
  onDone,
}: {
  readonly title: string;
  readonly text: string;
  readonly onDone: () => void;
}) {
  return (
    <div class="told-once" role="status">
      <p>{title}</p>
      <Command text={text} />
      <button type="button" class="button" onClick={onDone}>
        I have copied it
      </button>
    </div>
  );
}

export interface ConfirmProps {
  readonly label: string;
  /** Whom it concerns, for those who hear the page. */
  readonly about: string;
  readonly sure: string;
  readonly onConfirm: () => void;
}

/** Two presses for what cannot be taken back; the second stands where the first was. */
export function Confirm({ label, about, sure, onConfirm }: ConfirmProps) {
  const asked = useSignal(false);
  return (
    <button
      type="button"
      class={asked.value ? "button is-danger" : "button"}
      aria-label={`${asked.value ? sure : label}: ${about}`}
      onBlur={() => (asked.value = false)}
      onClick={() => {
        if (asked.value) onConfirm();
        asked.value = !asked.value;
      }}
    >
      {asked.value ? sure : label}
    </button>
  );
}

export function Form({
  children,
  submit,
  label,
}: {
  readonly children: ComponentChildren;
  readonly label: string;
  readonly submit: (data: FormData) => Promise<boolean>;
}) {
  const busy = useSignal(false);
  const error = useSignal<ApiError | null>(null);
  const send = async (form: HTMLFormElement): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    error.value = null;
    try {
      if (await submit(new FormData(form))) form.reset();
    } catch (thrown) {
      error.value = apiErrorOf(thrown);
    }
    busy.value = false;
  };
  return (
    <form
      class="people-form"
      onSubmit={(event) => {
        event.preventDefault();
        void send(event.currentTarget);
      }}
    >
      {children}
      <button type="submit" class="button is-primary" aria-disabled={busy.value}>
        {label}
      </button>
      {error.value !== null && (
        <p class="form-error" role="alert">
          <strong>{error.value.message}</strong> {error.value.fix}
        </p>
      )}
    </form>
  );
}
