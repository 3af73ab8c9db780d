/** What sessions had noted of their QoS 2 exchanges, at a start: both ends mean the same by an identifier again. */
import { ORIGIN_UNKNOWN, SENT_STRIDE } from "../wire/record/mod.ts";
import type { SessionNote } from "../wire/record/mod.ts";
import type { Core } from "./core.ts";
import { Exchanges } from "./exchanges.ts";
import { NOT_KEPT } from "./notes.ts";
import { isOriginRetained, markOfOrigin } from "./outbox.ts";
import type { Outbox } from "./outbox.ts";
import { NOWHERE } from "./recent-frames.ts";
import type { Session } from "./session.ts";
import type { OpenMessage, SharedReplay } from "./shared-replay.ts";

export function applyNote(core: Core, shared: SharedReplay, offset: number, note: SessionNote): void {
  const { clientId, released, received, sent } = note;
  const session = core.sessions.get(clientId);
  if (session === undefined || offset < session.since) {
    // Of a session that is over, or was not kept: what had begun to leave goes to nobody else [MQTT-4.8.2-5].
    for (let i = 0; i < sent.length; i += SENT_STRIDE)
      takeFromGroup(shared, clientId, null, sent[i + 1]!, sent[i + 2]!);
    return;
  }
  for (const packetId of released) session.received?.delete(packetId);
  const { outbox } = session;
  const exchanges = (outbox.exchanges ??= new Exchanges());
  for (const packetId of received) {
    const sequence = exchanges.place(packetId);
    if (sequence === undefined) exchanges.released.add(packetId);
    else {
      exchanges.release(sequence);
      outbox.finish(sequence);
    }
  }
  for (let i = 0; i < sent.length; i += SENT_STRIDE) {
    const [packetId, of, origin] = [sent[i]!, sent[i + 1]!, sent[i + 2]!];
    const open = takeFromGroup(shared, clientId, session, of, origin);
    if (open !== null && outbox.unnamed(of, origin) < 0) owe(session, open, origin);
    nameAgain(session, exchanges, packetId, of, origin);
  }
  outbox.trim();
  core.saving.exchanged(session);
  core.saving.touched(session);
}

/** The message, where it came by a group that has not been told who had it; nobody else of the group is owed it now. */
function takeFromGroup(
  shared: SharedReplay,
  clientId: string,
  session: Session | null,
  offset: number,
  origin: number,
): OpenMessage | null {
  if (origin !== ORIGIN_UNKNOWN) return markOfOrigin(origin) === 0 ? null : shared.noted(offset, markOfOrigin(origin));
  return session !== null || clientId === NOT_KEPT ? shared.guessed(offset, session) : null;
}

function owe(session: Session, { group, offset, message, bytes }: OpenMessage, origin: number): void {
  const target = group.targetOf(session); // null: it has left the group since
  const asPublished = message.retain && target?.retainAsPublished === true;
  const retained = origin === ORIGIN_UNKNOWN ? asPublished : isOriginRetained(origin);
  session.outbox.push(offset, bytes, retained, NOWHERE, target?.identifiers ?? null, true, group.mark);
}

function nameAgain(session: Session, exchanges: Exchanges, packetId: number, offset: number, origin: number): void {
  const { outbox, savedTail } = session;
  const before = exchanges.place(packetId);
  if (before !== undefined) outbox.finish(before); // the client refused it; that is in no note
  let sequence = outbox.unnamed(offset, origin, exchanges.namedUpTo);
  if (sequence < 0) sequence = outbox.unnamed(offset, origin);
  if (sequence < 0) sequence = outbox.raise(offset, origin, savedTail);
  if (sequence < 0) sequence = pushUnmatched(outbox, offset, origin);
  exchanges.nameAgain(sequence, packetId);
  exchanges.namedUpTo = sequence + 1;
  outbox.sentBefore = Math.max(outbox.sentBefore, sequence + 1); // it may have been sent
}

/** A retained message, which no replay puts into a queue; or one whose subscription has ended since. */
function pushUnmatched(outbox: Outbox, offset: number, origin: number): number {
  if (origin === ORIGIN_UNKNOWN) return outbox.push(offset, 1, true, NOWHERE, null, true);
  return outbox.push(offset, 1, isOriginRetained(origin), NOWHERE, null, true, markOfOrigin(origin));
}
