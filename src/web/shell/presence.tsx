/** A thing's presence: a mark of its own shape and a word, never colour alone. */
import type { Presence, PresenceState } from "../../cloud/api/contract.ts";
import { isStale } from "../live/live.ts";

const WORDS: Readonly<Record<PresenceState, string>> = {
  online: "Online",
  offline: "Offline",
  never: "Never connected",
};

export function PresenceTag({ presence }: { readonly presence: Presence }) {
  const stale = isStale.value;
  const reason = presence.state === "offline" ? presence.disconnectReason : null;
  return (
    <span
      class={`presence is-${presence.state}${stale ? " is-stale" : ""}`}
      data-presence={presence.state}
      title={stale ? "Last known; the live connection is lost" : (reason ?? undefined)}
    >
      <span class="presence-mark" />
      {stale && presence.state === "online" ? "Was online" : WORDS[presence.state]}
    </span>
  );
}

/** AWS IoT's reasons in words; unknown ones as they are. */
const REASONS: Readonly<Record<string, string>> = {
  CLIENT_INITIATED_DISCONNECT: "it disconnected by itself",
  SERVER_INITIATED_DISCONNECT: "the platform disconnected it",
  MQTT_KEEP_ALIVE_TIMEOUT: "nothing was heard from it in time",
  CONNECTION_LOST: "the connection broke",
  DUPLICATE_CLIENTID: "another client took its name over",
  CLIENT_ERROR: "it broke the protocol",
  SERVER_ERROR: "the platform had an error",
  AUTH_ERROR: "its certificate is not accepted",
  FORBIDDEN_ACCESS: "its policy forbids what it did",
  THROTTLED: "it sent too much",
};

export function disconnectWords(reason: string): string {
  return REASONS[reason] ?? reason;
}
