/**
 * A thing is forgotten: its connections end without their wills, its sessions and what they are owed go, and so do the retained
 * messages that it published or that speak of it. What is in the journal is the journal's: it gives forgotten messages to nobody.
 */
import type { MessageSource } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { Core } from "./core.ts";
import { endSession } from "./lifecycle.ts";
import type { Session } from "./session.ts";

/** Whether the journal's message at this offset is forgotten. */
export type IsForgotten = (offset: number, source: MessageSource) => boolean;

export interface ForgottenSessions {
  readonly connections: number;
  readonly sessions: number;
  /** Messages that waited for them. */
  readonly queued: number;
  readonly retained: number;
}

const RETAINED_AT_ONCE = 256;
/** A topic filter with wildcards never meets topics that begin with `$` [MQTT-4.7.2-1]. */
const ALL_TOPICS: readonly string[] = ["#", "$aws/#"];

/** Resolves once the state store has it. */
export async function forgetThing(core: Core, thing: string, forgotten: IsForgotten): Promise<ForgottenSessions> {
  const own = sessionsOf(core, thing);
  const clients = new Set(own.map(({ clientId }) => clientId));
  let connections = 0;
  let queued = 0;
  for (const session of own) {
    const { connection } = session;
    if (connection !== null) {
      connection.will = null;
      connection.disconnect(REASON.administrativeAction, "SERVER_INITIATED_DISCONNECT", "its thing is forgotten");
      connections++;
    }
    queued += session.outbox.size;
    session.will = null;
    endSession(core, session);
  }
  const isOwn: IsForgotten = (offset, source) =>
    forgotten(offset, clients.has(source.clientId) ? { ...source, thing } : source);
  const retained = await forgetRetained(core, isOwn);
  await core.saving.settled();
  return { connections, sessions: own.length, queued, retained };
}

/** Of all things that are forgotten; a power cut may have brought some back. */
export async function forgetRetained(core: Core, forgotten: IsForgotten): Promise<number> {
  let removed = 0;
  for (const filter of ALL_TOPICS) {
    let after: string | null = null;
    do {
      const page = await core.retained.page(filter, after, RETAINED_AT_ONCE);
      for (const { topic, offset, clientId } of page.found) {
        if (forgotten(offset, { topic, clientId, thing: null }) && core.retained.remove(topic, offset)) removed++;
      }
      after = page.upTo;
    } while (after !== null);
  }
  return removed;
}

function sessionsOf(core: Core, thing: string): readonly Session[] {
  return [...core.sessions.values()].filter(
    ({ scope, clientId, connection }) => (connection?.publisher.thing ?? scope?.thing ?? clientId) === thing,
  );
}
