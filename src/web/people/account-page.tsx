/** `#/account`: one's own password, keys and sessions. */
import { useSignal } from "@preact/signals";
import { call } from "../api/client.ts";
import { session } from "../api/session.ts";
import { formText } from "./form-text.ts";
import { Form } from "./parts.tsx";
import { KeysSection } from "./keys-section.tsx";
import { SessionsSection } from "./sessions-section.tsx";

export function AccountPage() {
  const current = session.value;
  if (current.kind !== "active") return null;
  const { user, kind, role } = current.info;
  return (
    <div class="page">
      <header class="page-head">
        <h1>Account</h1>
        <p class="muted">{kind === "user" ? `${user}, ${role ?? ""}` : "The platform's administrator token"}</p>
      </header>
      {kind === "user" && <Password name={user} />}
      <KeysSection all={false} />
      <SessionsSection all={false} />
    </div>
  );
}

function Password({ name }: { readonly name: string }) {
  const done = useSignal(false);
  const submit = async (data: FormData): Promise<boolean> => {
    done.value = false;
    const body = { current: formText(data, "current"), password: formText(data, "password") };
    await call<void>("api/account/password", { method: "POST", body, login: true });
    done.value = true;
    return true;
  };
  return (
    <section class="people-section">
      <h2>Password</h2>
      <Form label="Change the password" submit={submit}>
        <input
          class="sr-only"
          type="text"
          name="username"
          autocomplete="username"
          value={name}
          readOnly
          tabIndex={-1}
          aria-hidden="true"
        />
        <label>
          Now
          <input name="current" type="password" autocomplete="current-password" required />
        </label>
        <label>
          New, at least 10 characters
          <input name="password" type="password" autocomplete="new-password" required minLength={10} />
        </label>
      </Form>
      {done.value && (
        <p class="muted" role="status">
          Changed. Your other dashboards are logged out.
        </p>
      )}
    </section>
  );
}
