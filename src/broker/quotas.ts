/** Places that clients take from each other: connections, sessions and wills, in all and for each thing. */
import type { ConnectPacket } from "../wire/mqtt/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import type { ThingScope } from "./fairness.ts";
import type { LimitName } from "./limit-effects.ts";
import type { RefusalKind } from "./refusals.ts";
import type { Session, StandingWill } from "./session.ts";

export interface QuotaRefusal {
  readonly kind: RefusalKind;
  readonly code: number;
  readonly detail: string;
}

/** Whether there is a place for the client. Nobody who is in is sent away for it: who came first stays. */
export function quotaRefusal(core: Core, packet: ConnectPacket, thing: string | null): QuotaRefusal | null {
  const { limits } = core;
  const { clientId } = packet;
  const known = core.sessions.get(clientId);
  const replaces = known !== undefined && known.connection !== null;
  const scope = thing === null ? undefined : core.fairness.thing(thing);
  if (!replaces && core.connected >= limits.connectionsMax) {
    const detail = `at most ${limits.connectionsMax} clients are connected here`;
    return refusal(core, "connectionsMax", "connections-full", REASON.serverBusy, detail);
  }
  if (!replaces && scope !== undefined && scope.connections >= limits.connectionsPerThingMax) {
    const detail = `a thing has at most ${limits.connectionsPerThingMax} connections`;
    return refusal(core, "connectionsPerThingMax", "connections-per-thing-full", REASON.quotaExceeded, detail);
  }
  if (packet.sessionExpirySeconds > 0 && known === undefined) {
    if (core.sessions.size >= limits.sessionsMax) {
      const detail = `at most ${limits.sessionsMax} sessions are kept here; connect without session expiry`;
      return refusal(core, "sessionsMax", "sessions-full", REASON.quotaExceeded, detail);
    }
    if (scope !== undefined && scope.sessions >= limits.sessionsPerThingMax) {
      const detail = `a thing has at most ${limits.sessionsPerThingMax} sessions; connect without session expiry`;
      return refusal(core, "sessionsPerThingMax", "sessions-per-thing-full", REASON.quotaExceeded, detail);
    }
  }
  const bytes = willBytes(packet.will);
  const little = Math.floor(limits.connectBytesMax / 64);
  if (core.willBytes + bytes <= limits.willsTotalBytesMax || bytes <= little) return null;
  const detail = `too much memory is taken by wills; connect with one of at most ${little} bytes`;
  return refusal(core, "willsTotalBytesMax", "wills-full", REASON.quotaExceeded, detail);
}

function refusal(core: Core, limit: LimitName, kind: RefusalKind, code: number, detail: string): QuotaRefusal {
  core.reached.count(limit);
  return { kind, code, detail };
}

/** The client is in, and has its session. */
export function occupy(connection: Connection, session: Session): void {
  const { core } = connection;
  const scope = core.fairness.enter(connection.publisher.thing);
  connection.scope = scope;
  core.connected++;
  core.greetings.delete(connection);
  core.willBytes += willBytes(connection.will?.will ?? null);
  if (scope !== null) scope.connections++;
  own(core, session, scope);
}

/** The session is the thing's; after a restart, before its client is back. */
export function own(core: Core, session: Session, scope: ThingScope | null): void {
  if (session.scope === scope) return;
  disown(core, session);
  session.scope = scope;
  if (scope !== null) scope.sessions++;
}

/** The connection has left its session. */
export function vacate(connection: Connection): void {
  const { core, scope } = connection;
  core.connected--;
  connection.scope = null;
  if (scope === null) return;
  scope.connections--;
  core.fairness.leave(scope);
}

/** The session is over, or another thing's. */
export function disown(core: Core, session: Session): void {
  const { scope } = session;
  session.scope = null;
  if (scope === null) return;
  scope.sessions--;
  core.fairness.leave(scope);
}

/** Looks at all of them; called with each sweep. */
export function countWills(core: Core): void {
  let bytes = 0;
  for (const connection of core.connections) bytes += standingBytes(connection.will);
  for (const session of core.absentWithWill) bytes += standingBytes(session.will);
  core.willBytes = bytes;
}

function standingBytes(standing: StandingWill | null): number {
  return standing === null ? 0 : willBytes(standing.will);
}

function willBytes(will: ConnectPacket["will"]): number {
  return will === null ? 0 : will.topic.length + will.payload.length;
}
