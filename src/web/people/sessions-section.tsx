/** Who is logged in, from where, since when. */
import type { SessionList } from "../../cloud/api/contract.ts";
import { call } from "../api/client.ts";
import { session } from "../api/session.ts";
import { formatRecent, formatTime } from "../format/time.ts";
import { serverNow } from "../live/live.ts";
import { useLoaded } from "./loaded.ts";
import { Confirm, Section } from "./parts.tsx";

export function SessionsSection({ all }: { readonly all: boolean }) {
  const { value, error, change } = useLoaded<SessionList>(`api/sessions?all=${all}`);
  const current = session.value;
  const mine = current.kind === "active" ? current.info.session : null;
  return (
    <Section
      title={all ? "Logged in now" : "Where you are logged in"}
      error={error.value}
      loading={value.value === null}
    >
      <div class="table-frame">
        <table class="people-table">
          <thead>
            <tr>
              {all && <th scope="col">Who</th>}
              <th scope="col">From</th>
              <th scope="col">Since</th>
              <th scope="col">Last seen</th>
              <th scope="col">
                <span class="sr-only">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {value.value?.sessions.map(({ id, user, address, agent, createdAt, lastSeenAt }) => (
              <tr key={id}>
                {all && <td data-label="Who">{user ?? "administrator (token)"}</td>}
                <td data-label="From" title={agent}>
                  {address}
                </td>
                <td data-label="Since">{formatTime(createdAt)}</td>
                <td data-label="Last seen">{formatRecent(lastSeenAt, serverNow.value)}</td>
                <td>
                  {id === mine ? (
                    <span class="muted">This one</span>
                  ) : (
                    <Confirm
                      label="End"
                      about={`${user ?? "administrator"} from ${address}`}
                      sure="End now"
                      onConfirm={() => void change(() => call(`api/sessions/${id}`, { method: "DELETE" }))}
                    />
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}
