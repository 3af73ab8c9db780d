/** What retiring means, before it is done and after. */
import type { ForgetReport, ThingDetail } from "../../cloud/api/contract.ts";
import { plural } from "../format/labels.ts";

/** What happens to whoever is retired; what its checkboxes decide stands at them. */
export function meaningOf({ certificates, password, presence }: ThingDetail): readonly string[] {
  const count = certificates.filter(({ status }) => status !== "REVOKED").length;
  const keys = [
    ...(count === 0 ? [] : [`${plural(count, "certificate")} ${count === 1 ? "is" : "are"} revoked`]),
    ...(password === null ? [] : ["the password is removed"]),
  ];
  return [
    keys.length === 0
      ? "It has nothing that lets it in."
      : `${capital(keys.join(", and "))}: this cannot be taken back.`,
    presence.state === "online" ? "It is online now: its connection is cut." : "It is not connected now.",
    "Its sessions with what waits in them, its retained messages, its shadows and its registration are removed.",
    "Its active alerts end.",
  ];
}

const NAMES: Readonly<Record<ForgetReport["name"], string>> = {
  own: "its own",
  leaving: "free when all is done",
  free: "free",
  blocked: "blocked",
  taken: "another thing's by now",
};

export function nameWords(name: ForgetReport["name"]): string {
  return NAMES[name];
}

export function stateWords({ state, reason, missing }: ForgetReport): string {
  if (state === "done") return "done";
  if (reason !== null) return `waits: ${reason}`;
  return `still to come: ${missing.join(", ")}`;
}

const REMOVED: Readonly<Record<string, string>> = { retained: "retained messages", codes: "codes to join with" };

/** `certificatesRevoked: 1` → `certificates revoked: 1`; nothing that is none. */
export function removedWords(removed: ForgetReport["removed"]): readonly string[] {
  return Object.entries(removed)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => {
      const words = REMOVED[what] ?? what.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
      return `${words}: ${count.toLocaleString("en")}`;
    });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
