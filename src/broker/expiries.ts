/**
 * Connections whose right to be here has an end: certificates, tokens, keys. They are looked at by the wall clock as it is
 * now, so where that leaps, whoever has expired by it goes, and nobody else.
 */
import type { EpochMs } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import type { Due } from "./deadlines.ts";

export interface Expiry extends Due {
  readonly connection: Connection;
}

/** Some hundred in one turn: certificates that were issued together expire together. */
const ENDED_AT_ONCE = 200;

/** In the place of what was set before; undefined: nobody knows of an end. */
export function endsAt(connection: Connection, expiresAt: EpochMs | undefined): void {
  if (expiresAt === undefined) return endsNever(connection);
  connection.expiry ??= { connection, dueAt: 0, duePlace: -1 };
  connection.core.expiries.set(connection.expiry, expiresAt);
}

export function endsNever({ core, expiry }: Connection): void {
  if (expiry !== null) core.expiries.delete(expiry);
}

export function endExpired(core: Core): void {
  const now = core.clock.now();
  for (let i = 0; i < ENDED_AT_ONCE; i++) {
    const expired = core.expiries.take(now);
    if (expired === null) return;
    const { connection } = expired;
    const what = connection.peer.certificateId === null ? "what the client logged in with" : "the certificate";
    connection.refuse("credential-expired", REASON.notAuthorized, "AUTH_ERROR", `${what} has expired`);
  }
  core.options.scheduler.defer(() => {
    if (!core.closing) endExpired(core);
  });
}
