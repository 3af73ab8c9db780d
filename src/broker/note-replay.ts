/**
 * What sessions had noted, at a start: both ends mean the same by an identifier again, and what was finished is not owed once
 * more.
 */
import { ORIGIN_UNKNOWN, SENT_STRIDE } from "../wire/record/mod.ts";
import type { Finished, SessionNote } from "../wire/record/mod.ts";
import type { Core } from "./core.ts";
import { Exchanges } from "./exchanges.ts";
import { NOT_KEPT } from "./notes.ts";
import { isOriginRetained, markOfOrigin } from "./outbox.ts";
import { NOWHERE } from "./recent-frames.ts";
import type { Target } from "./routes.ts";
import type { Session } from "./session.ts";
import type { SharedReplay } from "./shared-replay.ts";

/** Speaks of exchanges, and so of entries of the queue. */
export function isOfExchanges({ released, received, sent }: SessionNote): boolean {
  return released.length + received.length + sent.length > 0;
}

export function applyNote(core: Core, shared: SharedReplay, offset: number, note: SessionNote): void {
  const { clientId, released, received, sent } = note;
  const session = core.sessions.get(clientId);
  if (session === undefined || offset < session.since) {
    closeGroups(shared, note);
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
    const owed =
      origin === ORIGIN_UNKNOWN ? oweGuessed(session, shared, of) : oweAgain(core, session, shared, of, origin);
    if (owed) nameAgain(session, exchanges, packetId, of, origin);
  }
  outbox.trim();
  core.saving.exchanged(session);
  core.saving.touched(session);
}

/**
 * What was saved has the place that it had, whichever way it came: retained and handed over messages have old offsets, and may
 * have come after the note. What is replayed is known by its offset; where it came by a group, another member may have had it.
 */
export function finishAgain(core: Core, session: Session, { place, offset }: Finished): void {
  const { outbox, savedTail } = session;
  while (outbox.head < place && outbox.isStored(outbox.head)) outbox.dropStored();
  for (let sequence = outbox.head; sequence < outbox.tail; sequence++) {
    if (outbox.isStored(sequence) || outbox.isDone(sequence)) continue;
    const replayed = sequence >= savedTail;
    if (replayed ? outbox.mark(sequence) !== 0 || outbox.offset(sequence) >= offset : sequence >= place) continue;
    outbox.exchanges?.forget(sequence); // the client has refused it, else the note that it has it came first
    outbox.finish(sequence);
  }
  outbox.trim();
  outbox.closeGaps(savedTail);
  if (outbox.exchanges !== null) core.saving.exchanged(session);
  core.saving.touched(session);
}

/** The session is over, or was not a kept one: what it had begun goes to nobody else [MQTT-4.8.2-5]. */
function closeGroups(shared: SharedReplay, { clientId, sent }: SessionNote): void {
  for (let i = 0; i < sent.length; i += SENT_STRIDE) {
    const [of, origin] = [sent[i + 1]!, sent[i + 2]!];
    if (origin !== ORIGIN_UNKNOWN) shared.noted(of, markOfOrigin(origin));
    else if (clientId === NOT_KEPT) shared.guessed(of, null);
  }
}

/** Puts what came by a group into its member's queue; false where the message cannot have left, and is another's to have. */
function oweAgain(core: Core, session: Session, shared: SharedReplay, offset: number, origin: number): boolean {
  const { outbox } = session;
  const mark = markOfOrigin(origin);
  if (mark === 0) return true;
  const isQueued = outbox.unnamed(offset, origin) >= 0;
  // Who leaves a group has all in its queue on disk first; this one had joined, and was not told so before the crash.
  const target = isQueued ? null : targetByMark(core, session, mark);
  if (!isQueued && target === null) return false;
  const open = shared.noted(offset, mark); // nobody else of the group is owed it now [MQTT-4.8.2-4]
  if (target === null) return true;
  outbox.push(offset, open?.bytes ?? 1, isOriginRetained(origin), NOWHERE, target.identifiers, true, mark);
  return true;
}

function targetByMark(core: Core, session: Session, mark: number): Target | null {
  for (const { filter } of session.subscriptions.list()) {
    const group = core.tree.group(filter);
    if (group?.hasMark(mark) === true) return group.targetOf(session);
  }
  return null;
}

/** A note of an earlier Tidewire does not say by which group. */
function oweGuessed(session: Session, shared: SharedReplay, offset: number): true {
  if (session.outbox.unnamed(offset, ORIGIN_UNKNOWN) >= 0) return true;
  const open = shared.guessed(offset, session);
  const target = open?.group.targetOf(session) ?? null;
  if (open === null || target === null) return true;
  const retained = open.message.retain && target.retainAsPublished;
  session.outbox.push(offset, open.bytes, retained, NOWHERE, target.identifiers, true, target.mark);
  return true;
}

function nameAgain(session: Session, exchanges: Exchanges, packetId: number, offset: number, origin: number): void {
  const { outbox, savedTail } = session;
  const before = exchanges.place(packetId);
  if (before !== undefined) {
    // Saved with its name before the log took the note.
    if (outbox.isCopy(before, offset, origin)) return;
    outbox.finish(before); // the client refused it; that is in no note
  }
  let sequence = outbox.unnamed(offset, origin, exchanges.namedUpTo);
  if (sequence < 0) sequence = outbox.unnamed(offset, origin);
  if (sequence < 0 && origin !== ORIGIN_UNKNOWN) sequence = outbox.raise(offset, origin, savedTail);
  // A retained message, which no replay puts into a queue; or one whose subscription was not on disk.
  const retained = origin === ORIGIN_UNKNOWN || isOriginRetained(origin);
  if (sequence < 0) sequence = outbox.push(offset, 1, retained, NOWHERE, null, true);
  exchanges.nameAgain(sequence, packetId);
  exchanges.namedUpTo = sequence + 1;
  outbox.sentBefore = Math.max(outbox.sentBefore, sequence + 1); // it may have been sent
}
