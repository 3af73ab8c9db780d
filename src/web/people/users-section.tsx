/** Users: invite, change the role, disable, reset, remove. */
import { useSignal } from "@preact/signals";
import type { InvitedUser, Role, UserList, UserView } from "../../cloud/api/contract.ts";
import { call } from "../api/client.ts";
import { session } from "../api/session.ts";
import { formatRecent } from "../format/time.ts";
import { serverNow } from "../live/live.ts";
import { formText } from "./form-text.ts";
import { useLoaded } from "./loaded.ts";
import { Confirm, Form, Once, Section } from "./parts.tsx";

const ROLES: readonly Role[] = ["viewer", "operator", "administrator"];

export function UsersSection() {
  const { value, error, load, change } = useLoaded<UserList>("api/users");
  const invited = useSignal<InvitedUser | null>(null);
  const path = (name: string): string => `api/users/${encodeURIComponent(name)}`;
  const update = (name: string, body: object): void =>
    void change(() => call<UserView>(path(name), { method: "PATCH", body }));
  const reset = async (name: string): Promise<void> => {
    invited.value = await change(() => call<InvitedUser>(`${path(name)}/invitation`, { method: "POST" }));
  };
  const invite = async (data: FormData): Promise<boolean> => {
    const body = { name: formText(data, "name"), role: formText(data, "role") };
    invited.value = await call<InvitedUser>("api/users", { method: "POST", body });
    await load();
    return true;
  };
  return (
    <Section title="Users" error={error.value} loading={value.value === null}>
      {invited.value !== null && (
        <Once
          title={`Send this link to ${invited.value.user.name}: it works once, for three days.`}
          text={new URL(`#invitation=${invited.value.invitation.code}`, document.baseURI).href}
          onDone={() => (invited.value = null)}
        />
      )}
      {value.value?.users.length === 0 && (
        <p class="muted">Nobody yet: whoever is here came with the platform's token. Invite yourself first.</p>
      )}
      {value.value !== null && value.value.users.length > 0 && (
        <UserTable
          users={value.value.users}
          update={update}
          reset={(name) => void reset(name)}
          remove={(name) => void change(() => call(path(name), { method: "DELETE" }))}
        />
      )}
      <Form label="Invite" submit={invite}>
        <label>
          Name
          <input name="name" required maxLength={64} autocomplete="off" autocapitalize="off" spellcheck={false} />
        </label>
        <label>
          Role
          <select name="role">
            {ROLES.map((role) => (
              <option key={role} value={role}>
                {role}
              </option>
            ))}
          </select>
        </label>
      </Form>
    </Section>
  );
}

interface UserTableProps {
  readonly users: readonly UserView[];
  readonly update: (name: string, body: object) => void;
  readonly reset: (name: string) => void;
  readonly remove: (name: string) => void;
}

function UserTable({ users, update, reset, remove }: UserTableProps) {
  return (
    <div class="table-frame">
      <table class="people-table">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Role</th>
            <th scope="col">State</th>
            <th scope="col">Last log-in</th>
            <th scope="col">
              <span class="sr-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {users.map((user) => (
            <UserRow
              key={user.name}
              user={user}
              update={(body) => update(user.name, body)}
              reset={() => reset(user.name)}
              remove={() => remove(user.name)}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface UserRowProps {
  readonly user: UserView;
  readonly update: (body: object) => void;
  readonly reset: () => void;
  readonly remove: () => void;
}

function UserRow({ user, update, reset, remove }: UserRowProps) {
  const { name, role, state, lastLoginAt } = user;
  const current = session.value;
  const isMe = current.kind === "active" && current.info.kind === "user" && current.info.user === name;
  return (
    <tr>
      <td data-label="Name">{name}</td>
      <td data-label="Role">
        <select
          aria-label={`Role of ${name}`}
          value={role}
          disabled={isMe}
          onChange={(event) => update({ role: event.currentTarget.value })}
        >
          {ROLES.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </td>
      <td data-label="State">{state}</td>
      <td data-label="Last log-in">{lastLoginAt === null ? "never" : formatRecent(lastLoginAt, serverNow.value)}</td>
      <td>
        <div class="people-actions">
          {!isMe && (
            <>
              <button type="button" class="button" onClick={() => update({ disabled: state !== "disabled" })}>
                {state === "disabled" ? "Enable" : "Disable"}
                <span class="sr-only">{` ${name}`}</span>
              </button>
              <Confirm label="New invitation" about={name} sure="End the password" onConfirm={reset} />
              <Confirm label="Remove" about={name} sure="Remove now" onConfirm={remove} />
            </>
          )}
          {isMe && <span class="muted">You</span>}
        </div>
      </td>
    </tr>
  );
}
