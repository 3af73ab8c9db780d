/** Receivers by what is known of them. */
import type { JsonObject } from "../../base/mod.ts";
import type { Receiver } from "./sender.ts";

/** A hash that is keyed with a secret of the platform, so that a short password cannot be guessed from it. Lower-case hex. */
export type KeyedHash = (text: string) => string;

/** The same settings give the same receiver, whoever names it. */
export function receiverOf(carrier: string, label: string, settings: JsonObject, hash: KeyedHash): Receiver {
  const key = `${carrier} ${hash(JSON.stringify([carrier, settings])).slice(0, 32)}`;
  return { key, carrier, label, settings };
}
