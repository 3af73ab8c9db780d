/** Logging in with the administrator token. A real form: paste and password managers work. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "../../cloud/api/contract.ts";
import { login, session } from "../api/session.ts";
import { IconEye, Wordmark } from "../shell/icons.tsx";

export function LoginPage() {
  const current = session.value;
  const initial = current.kind === "none" ? current.error : null;
  const error = useSignal<ApiError | null>(initial);
  const busy = useSignal(false);
  const visible = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    // What was copied from a terminal often carries a line's end.
    const token = input.current!.value.trim();
    if (busy.value) return;
    if (token === "") {
      error.value = { code: "", message: "The token is missing.", fix: "Paste it into the field." };
      input.current!.focus();
      return;
    }
    busy.value = true;
    error.value = await login({ token });
    busy.value = false;
    if (error.value !== null) input.current?.select();
  };

  const why = current.kind === "none" ? current.why : "never";
  return (
    <main class="login" id="main">
      <form class="login-card" onSubmit={(event) => void submit(event as unknown as SubmitEvent)} noValidate>
        <Wordmark />
        <h1>Log in</h1>
        {why === "expired" && <p class="login-note">Your session has ended. Log in to continue where you were.</p>}
        {why === "logged-out" && <p class="login-note">You are logged out.</p>}
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
            aria-invalid={error.value !== null}
            aria-describedby={error.value === null ? "token-hint" : "token-error token-hint"}
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
        <div role="alert" id="token-error">
          {error.value !== null && (
            <p class="form-error">
              <strong>{error.value.message}</strong> {error.value.fix}
            </p>
          )}
        </div>
        <button type="submit" class="button is-primary" aria-disabled={busy.value}>
          {busy.value ? "Logging in…" : "Log in"}
        </button>
        <p class="hint" id="token-hint">
          Tidewire printed it at its first start. It is also in <code>secrets/admin-token</code> in the data folder.
        </p>
      </form>
    </main>
  );
}
