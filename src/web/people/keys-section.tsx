/** Keys of programs: what each may do, when it was used, and its end. */
import { useSignal } from "@preact/signals";
import type { KeyList, KeyView, NewKeyRequest, NewKeyResult } from "../../cloud/api/contract.ts";
import { call } from "../api/client.ts";
import { session } from "../api/session.ts";
import { formatRecent, formatTime } from "../format/time.ts";
import { serverNow } from "../live/live.ts";
import { formText } from "./form-text.ts";
import { useLoaded } from "./loaded.ts";
import { Confirm, Form, Once, Section } from "./parts.tsx";

const DAY_MS = 86_400_000;

export function KeysSection({ all }: { readonly all: boolean }) {
  const { value, error, load, change } = useLoaded<KeyList>(`api/keys?all=${all}`);
  const made = useSignal<NewKeyResult | null>(null);
  const add = async (data: FormData): Promise<boolean> => {
    const days = Number(data.get("days"));
    const body: NewKeyRequest = {
      kind: data.get("kind") === "access" ? "access" : "api",
      name: formText(data, "name").trim(),
      permissions: data.getAll("permission").map(String),
      expiresAt: days > 0 ? serverNow.value + days * DAY_MS : null,
    };
    made.value = await call<NewKeyResult>("api/keys", { method: "POST", body });
    await load();
    return true;
  };
  return (
    <Section title={all ? "Keys of everybody" : "Your keys"} error={error.value} loading={value.value === null}>
      {made.value !== null && (
        <Once
          title={`${made.value.key.kind === "access" ? `Access key ${made.value.key.id}: its secret` : "The key"}, shown once:`}
          text={made.value.secret}
          onDone={() => (made.value = null)}
        />
      )}
      {value.value?.keys.length === 0 && <p class="muted">There are none.</p>}
      {value.value !== null && value.value.keys.length > 0 && (
        <KeyTable
          keys={value.value.keys}
          all={all}
          revoke={(id) => void change(() => call(`api/keys/${id}`, { method: "DELETE" }))}
        />
      )}
      {!all && <NewKey add={add} />}
    </Section>
  );
}

function KeyTable({
  keys,
  all,
  revoke,
}: {
  readonly keys: readonly KeyView[];
  readonly all: boolean;
  readonly revoke: (id: string) => void;
}) {
  return (
    <div class="table-frame">
      <table class="people-table">
        <thead>
          <tr>
            <th scope="col">Name</th>
            {all && <th scope="col">Owner</th>}
            <th scope="col">May</th>
            <th scope="col">Ends</th>
            <th scope="col">Last used</th>
            <th scope="col">
              <span class="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map(({ id, kind, name, owner, permissions, things, expiresAt, lastUsedAt }) => (
            <tr key={id}>
              <td data-label="Name">
                {name}
                <span class="key-id">{kind === "access" ? id : `twk_${id}…`}</span>
              </td>
              {all && <td data-label="Owner">{owner ?? "platform's token"}</td>}
              <td data-label="May">
                {permissions.join(", ")}
                {things !== null && <span class="key-id">only {things.join(", ")}</span>}
              </td>
              <td data-label="Ends">{expiresAt === null ? "never" : formatTime(expiresAt)}</td>
              <td data-label="Last used">
                {lastUsedAt === null ? "never" : formatRecent(lastUsedAt, serverNow.value)}
              </td>
              <td>
                <Confirm label="Revoke" about={name} sure="Revoke now" onConfirm={() => revoke(id)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function NewKey({ add }: { readonly add: (data: FormData) => Promise<boolean> }) {
  const current = session.value;
  const permissions = current.kind === "active" ? current.info.permissions : [];
  return (
    <details class="people-new">
      <summary>New key</summary>
      <Form label="Make the key" submit={add}>
        <label>
          Name
          <input name="name" required maxLength={64} autocomplete="off" placeholder="what uses it" />
        </label>
        <label>
          Kind
          <select name="kind">
            <option value="api">Bearer token</option>
            <option value="access">Access key for AWS SDKs (Signature V4)</option>
          </select>
        </label>
        <label>
          Ends after
          <select name="days">
            <option value="30">30 days</option>
            <option value="90">90 days</option>
            <option value="365">a year</option>
            <option value="0">never</option>
          </select>
        </label>
        <fieldset class="scopes">
          <legend>It may</legend>
          {permissions.map((permission) => (
            <label key={permission}>
              <input type="checkbox" name="permission" value={permission} />
              {permission}
            </label>
          ))}
        </fieldset>
      </Form>
    </details>
  );
}
