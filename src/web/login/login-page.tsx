/** Logging in with the administrator token. A real form: paste and password managers work. */
import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "../../cloud/api/contract.ts";
import { login, session } from "../api/session.ts";
import { IconEye, Wordmark } from "../shell/icons.tsx";

export function LoginPage() {
  const current = session.value;
  const input = useRef<HTMLInputElement>(null);
  const { error, busy, submit } = useLogin(input);
  useEffect(() => input.current?.focus(), []);
  const why = current.kind === "none" ? current.why : "never";
  // What the form was told last, or why the link that led here did not work.
  const shown = error ?? (current.kind === "none" ? current.error : null);
  return (
    <main class="login" id="main">
      <form
        class="login-card"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <Wordmark />
        <h1>Log in</h1>
        {why === "expired" && <p class="login-note">Your session has ended. Log in to continue where you were.</p>}
        {why === "logged-out" && <p class="login-note">You are logged out.</p>}
        <TokenField input={input} invalid={shown !== null} />
        <div role="alert" id="token-error">
          {shown !== null && (
            <p class="form-error">
              <strong>{shown.message}</strong> {shown.fix}
            </p>
          )}
        </div>
        <button type="submit" class="button is-primary" aria-disabled={busy}>
          {busy ? "Logging in…" : "Log in"}
        </button>
        <p class="hint" id="token-hint">
          Tidewire printed it at its first start. It is also in <code>secrets/admin-token</code> in the data folder.
        </p>
      </form>
    </main>
  );
}

function useLogin(input: RefObject<HTMLInputElement | null>) {
  const error = useSignal<ApiError | null>(null);
  const busy = useSignal(false);
  const submit = async (): Promise<void> => {
    if (busy.value || input.current === null) return;
    // What was copied from a terminal often carries a line's end.
    const token = input.current.value.trim();
    if (token === "") {
      error.value = { code: "", message: "The token is missing.", fix: "Paste it into the field." };
      input.current.focus();
      return;
    }
    busy.value = true;
    error.value = await login({ token });
    busy.value = false;
    if (error.value !== null) input.current?.select();
  };
  return { error: error.value, busy: busy.value, submit };
}

interface TokenFieldProps {
  readonly input: RefObject<HTMLInputElement | null>;
  readonly invalid: boolean;
}

function TokenField({ input, invalid }: TokenFieldProps) {
  const visible = useSignal(false);
  return (
    <>
      {/* Password managers file the token under this name. */}
      <input
        class="sr-only"
        type="text"
        name="username"
        autocomplete="username"
        value="administrator"
        readOnly
        tabIndex={-1}
        aria-hidden="true"
      />
      <label for="token">Administrator token</label>
      <div class="field">
        <input
          ref={input}
          id="token"
          name="token"
          {...(visible.value ? { type: "text" as const } : { type: "password" as const })}
          autocomplete="current-password"
          autocapitalize="off"
          spellcheck={false}
          required
          aria-invalid={invalid}
          aria-describedby={invalid ? "token-error token-hint" : "token-hint"}
        />
        <button
          type="button"
          class="icon-button"
          aria-pressed={visible.value}
          aria-label="Show the token"
          onClick={() => (visible.value = !visible.value)}
        >
          <IconEye />
        </button>
      </div>
    </>
  );
}
