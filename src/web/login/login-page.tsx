/** Logging in: by name, with the administrator token, or with an invitation. Real forms: paste and password managers work. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "../../cloud/api/contract.ts";
import { invitation, login, session } from "../api/session.ts";
import type { Credentials } from "../api/session.ts";
import { formText } from "../people/form-text.ts";
import { IconEye, Wordmark } from "../shell/icons.tsx";
import { loginWith, setLoginWith } from "../shell/preferences.ts";

export function LoginPage() {
  const current = session.value;
  const first = useRef<HTMLInputElement>(null);
  const error = useSignal<ApiError | null>(null);
  const busy = useSignal(false);
  const invited = invitation.value;
  const kind = invited !== null ? "invitation" : loginWith.value;
  useEffect(() => {
    error.value = null;
    first.current?.focus();
  }, [kind]);
  const why = current.kind === "none" ? current.why : "never";
  // What the form was told last, or why the link that led here did not work.
  const shown = error.value ?? (current.kind === "none" ? current.error : null);
  const submit = async (form: HTMLFormElement): Promise<void> => {
    if (busy.value) return;
    const credentials = credentialsOf(new FormData(form), invited?.code ?? null);
    if (!("error" in credentials)) {
      busy.value = true;
      error.value = await login(credentials);
      busy.value = false;
    } else error.value = credentials.error;
    if (error.value !== null) first.current?.select();
  };
  return (
    <main class="login" id="main">
      <form
        class="login-card"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit(event.currentTarget);
        }}
      >
        <Wordmark />
        <h1>{invited === null ? "Log in" : "Welcome"}</h1>
        {why === "expired" && <p class="login-note">Your session has ended. Log in to continue where you were.</p>}
        {why === "logged-out" && <p class="login-note">You are logged out.</p>}
        {kind === "token" && <TokenField input={first} invalid={shown !== null} />}
        {kind === "name" && <NameFields input={first} invalid={shown !== null} />}
        {invited !== null && <InvitationFields input={first} name={invited.name} role={invited.role} />}
        <div role="alert" id="token-error">
          {shown !== null && (
            <p class="form-error">
              <strong>{shown.message}</strong> {shown.fix}
            </p>
          )}
        </div>
        <button type="submit" class="button is-primary" aria-disabled={busy.value}>
          {busy.value ? "Logging in…" : invited === null ? "Log in" : "Set the password and log in"}
        </button>
        <Hint kind={kind} />
      </form>
    </main>
  );
}

function Hint({ kind }: { readonly kind: "token" | "name" | "invitation" }) {
  if (kind === "invitation") {
    return (
      <p class="hint" id="token-hint">
        At least 10 characters. A few words in a row are long, and easy to remember.
      </p>
    );
  }
  return (
    <>
      {kind === "token" && (
        <p class="hint" id="token-hint">
          Tidewire printed it at its first start. It is also in <code>secrets/admin-token</code> in the data folder.
        </p>
      )}
      <p class="hint">
        <button type="button" class="link" onClick={() => setLoginWith(kind === "token" ? "name" : "token")}>
          {kind === "token" ? "Use a name and a password" : "Use the administrator token"}
        </button>
      </p>
    </>
  );
}

function credentialsOf(data: FormData, code: string | null): Credentials | { readonly error: ApiError } {
  const text = (name: string): string => formText(data, name);
  const missing = (what: string, where: string): { readonly error: ApiError } => ({
    error: { code: "", message: `The ${what} is missing.`, fix: where },
  });
  if (data.has("token")) {
    // What was copied from a terminal often carries a line's end.
    const token = text("token").trim();
    return token === "" ? missing("token", "Paste it into the field.") : { token };
  }
  const password = text("password");
  if (code !== null) return password === "" ? missing("password", "Choose one.") : { invitation: code, password };
  const name = text("username").trim();
  if (name === "") return missing("name", "Type it into the first field.");
  return password === "" ? missing("password", "Type it into the second field.") : { name, password };
}

interface FieldProps {
  readonly input: RefObject<HTMLInputElement | null>;
  readonly invalid: boolean;
}

function NameFields({ input, invalid }: FieldProps) {
  return (
    <>
      <label for="name">Name</label>
      <div class="field">
        <input
          ref={input}
          id="name"
          name="username"
          type="text"
          autocomplete="username"
          autocapitalize="off"
          spellcheck={false}
          required
          aria-invalid={invalid}
        />
      </div>
      <label for="password">Password</label>
      <Secret id="password" name="password" what="password" invalid={invalid} autocomplete="current-password" />
    </>
  );
}

function InvitationFields({
  input,
  name,
  role,
}: {
  readonly input: RefObject<HTMLInputElement | null>;
  readonly name: string;
  readonly role: string;
}) {
  return (
    <>
      <p class="login-note">
        You are <strong>{name}</strong>, {role} here. Choose a password.
      </p>
      <Username value={name} />
      <label for="password">Password</label>
      <Secret input={input} id="password" name="password" what="password" invalid={false} autocomplete="new-password" />
    </>
  );
}

function TokenField({ input, invalid }: FieldProps) {
  return (
    <>
      <Username value="administrator" />
      <label for="token">Administrator token</label>
      <Secret input={input} id="token" name="token" what="token" invalid={invalid} autocomplete="current-password" />
    </>
  );
}

/** Password managers file the secret under this name. */
function Username({ value }: { readonly value: string }) {
  return (
    <input
      class="sr-only"
      type="text"
      name="username"
      autocomplete="username"
      value={value}
      readOnly
      tabIndex={-1}
      aria-hidden="true"
    />
  );
}

interface SecretProps {
  readonly input?: RefObject<HTMLInputElement | null>;
  readonly id: string;
  readonly name: string;
  readonly what: string;
  readonly invalid: boolean;
  readonly autocomplete: "current-password" | "new-password";
}

function Secret({ input, id, name, what, invalid, autocomplete }: SecretProps): ComponentChildren {
  const visible = useSignal(false);
  return (
    <div class="field">
      <input
        {...(input === undefined ? {} : { ref: input })}
        id={id}
        name={name}
        {...(visible.value ? { type: "text" as const } : { type: "password" as const })}
        autocomplete={autocomplete}
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
        aria-label={`Show the ${what}`}
        onClick={() => (visible.value = !visible.value)}
      >
        <IconEye />
      </button>
    </div>
  );
}
