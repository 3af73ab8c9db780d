/** What the list "At the door" says of one refusal. */
import type { Refusal } from "../../cloud/api/contract.ts";

/** The device as people know it: its thing, the name in its certificate, its client id; a stranger has an address only. */
export function deviceName({ thing, subject, clientId, remoteAddress }: Refusal): string {
  const commonName = /(?:^|,\s*)CN=([^,]+)/.exec(subject ?? "")?.[1] ?? "";
  return [thing, commonName, subject, clientId].find((name) => name !== null && name !== "") ?? remoteAddress;
}

const WISHES: Readonly<Record<Refusal["action"], string>> = {
  connect: "wanted to connect",
  publish: "wanted to publish to",
  subscribe: "wanted to subscribe to",
  receive: "was to receive",
};

/** The name is only what it says of itself: no key has been shown for it. */
export function isNameUnproved(refusal: Refusal): boolean {
  return refusal.certificateId === null && deviceName(refusal) !== refusal.remoteAddress;
}

/** What it was about, without the topic. */
export function wishOf({ action }: Refusal): string {
  return WISHES[action];
}

/** The platform's texts come with and without their last stop. */
export function asSentence(text: string, end: "." | ":" = "."): string {
  const core = text.replace(/[.:;]$/, "");
  return /[!?]$/.test(core) ? core : core + end;
}

/** One entry of the platform's book; stays the same while its `sequence` and `count` grow. */
export function refusalKey(refusal: Refusal): string {
  const { certificateId, subject, clientId, remoteAddress, action, reason, resource, firstAt } = refusal;
  // Whoever has a certificate is the same device from any address and under any client id.
  const device = certificateId ?? [subject, clientId, remoteAddress];
  return JSON.stringify([device, action, reason, resource, firstAt]);
}

/**
 * What was just loaded, in an order that does not move under the reader's finger: what is new comes first, the rest
 * keeps its place although each attempt makes another one the latest.
 */
export function steadyOrder(shown: readonly Refusal[], loaded: readonly Refusal[]): Refusal[] {
  const fresh = new Map(loaded.map((refusal) => [refusalKey(refusal), refusal]));
  const kept: Refusal[] = [];
  for (const before of shown) {
    const key = refusalKey(before);
    const now = fresh.get(key);
    if (now === undefined) continue;
    kept.push(now);
    fresh.delete(key);
  }
  return [...fresh.values(), ...kept];
}
