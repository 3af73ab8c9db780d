/** After a start: sessions and retained messages from the state store, then what the journal has beyond it. */
import { sharedFilterOf } from "../base/mod.ts";
import type { Message } from "../base/mod.ts";
import type { Core } from "./core.ts";
import { isFull } from "./delivery.ts";
import { skip } from "./pump.ts";
import { frameOf } from "./frame.ts";
import { IdentifierSet } from "./identifier-set.ts";
import { away } from "./lifecycle.ts";
import { applyNote, finishAgain, isOfExchanges } from "./note-replay.ts";
import type { SavedState } from "./ports.ts";
import type { SessionNote } from "../wire/record/mod.ts";
import { retain } from "./publish.ts";
import { own } from "./quotas.ts";
import { NOWHERE } from "./recent-frames.ts";
import type { Target } from "./routes.ts";
import { Session } from "./session.ts";
import type { StoredSession } from "./session.ts";
import { SharedReplay } from "./shared-replay.ts";
import type { OpenMessage } from "./shared-replay.ts";

interface Loaded {
  /** What the store says of some of them is of a log that was longer than the one that is there. */
  readonly cut: boolean;
  /** Clients that were not seen to leave, as far as the store knows. */
  readonly there: Set<Session>;
  /** Sessions whose queues reflect more than all the rest does, and up to where. */
  readonly ahead: Map<Session, number>;
  /** What queues of such sessions hold of shared subscriptions, beyond what all the rest reflects: marks by offset. */
  readonly queued: Map<number, number[]>;
}

/** Where it fails, `restoring` stays: half a state must never be saved as if it were the whole. */
export async function restoreState(core: Core): Promise<void> {
  core.restoring = true;
  const saved = await core.options.state.load();
  const { durable } = core.journal;
  if (saved.appliedOffset > durable) {
    // A journal that was cut or replaced: what the store says about later offsets means other messages now.
    const fields = { appliedOffset: saved.appliedOffset, durable };
    core.logger.error("the broker's state is ahead of the log; queued messages that the log lost are dropped", fields);
  }
  const applied = Math.min(saved.appliedOffset, durable);
  core.lastOffset = Math.max(core.lastOffset, durable - 1);
  core.saving.startAt(saved.appliedOffset);
  const loaded = await loadSessions(core, saved, durable);
  await core.retained.start(durable);
  let replayed = 0;
  const shared = new SharedReplay();
  for await (const logged of core.journal.replay(applied)) {
    if (logged.kind === "note") await noteAgain(core, loaded, shared, logged.offset, logged.note);
    else applyAgain(core, loaded, shared, logged.offset, logged.message, logged.packetId);
    replayed++;
  }
  for (const open of shared.rest()) oweOneOf(core, loaded, open);
  for (const session of core.sessions.values()) {
    const { outbox } = session;
    if (outbox.exchanges?.idle === true) outbox.exchanges = null;
    else if (outbox.exchanges !== null) outbox.exchanges.namedUpTo = 0; // what the notes left out is named when it is about to leave
    away(core, session);
  }
  core.restoring = false;
  if (loaded.cut || saved.appliedOffset > durable) await saveAnew(core);
  core.saving.progressDue();
  const sessions = core.sessions.size;
  core.logger.info("broker state restored", {
    sessions,
    retained: core.retained.size,
    appliedOffset: applied,
    replayed,
  });
}

/**
 * Before offsets that the store has seen are given to other messages: after a crash, a start would take these for the ones
 * that were saved, and none of them would come to a queue that was saved with those.
 */
async function saveAnew(core: Core): Promise<void> {
  if (await core.saving.saveAll()) return;
  throw new Error(
    "the broker's state is ahead of a log that was cut, and cannot be brought back to it: the error logged before this one says why",
  );
}

async function loadSessions(core: Core, saved: SavedState, durable: number): Promise<Loaded> {
  const there = new Set<Session>();
  const ahead = new Map<Session, number>();
  const queued = new Map<number, number[]>();
  let cut = false;
  for await (const batch of saved.sessions) {
    for (const entry of batch) {
      const session = loadSession(core, entry, durable);
      if (entry.disconnectedAt === null) there.add(session);
      const { outbox, exchanges } = entry;
      if (outbox !== null && outbox.applied > saved.appliedOffset) ahead.set(session, outbox.applied);
      const beyond = outbox !== null && outbox.applied > durable;
      if (beyond) cut = true;
      const shorter = beyond || saved.appliedOffset > durable;
      const entries = outbox !== null && outbox.tail > outbox.head && (shorter || outbox.bytes < 0);
      if (entries || beyond || exchanges !== null) await loadOutbox(core, session, entry, durable);
      else if (outbox !== null) {
        session.outbox.adopt(outbox);
        session.savedHead = outbox.head;
        session.savedTail = outbox.tail;
      }
    }
  }
  for (const session of ahead.keys()) await noteQueued(core, session, saved.appliedOffset, queued);
  return { there, ahead, queued, cut };
}

function loadSession(core: Core, entry: StoredSession, durable: number): Session {
  const { clock, limits } = core;
  const now = core.now();
  const session = new Session(entry.clientId);
  const absentFor = entry.disconnectedAt === null ? 0 : Math.max(0, clock.now() - entry.disconnectedAt);
  session.saved = true;
  session.expirySeconds = entry.expirySeconds;
  session.versionNumber = entry.versionNumber;
  session.leftGroup = entry.leftGroup;
  own(core, session, core.fairness.enter(entry.thing));
  session.since = Math.min(entry.since, durable); // as with subscriptions, below
  session.disconnectedAt = entry.disconnectedAt ?? clock.now();
  session.expiresAt = now + Math.max(0, entry.expirySeconds * 1000 - absentFor);
  if (entry.will !== null) {
    const { will, thing, owner } = entry.will;
    const delay = Math.max(will.delaySeconds * 1000 - absentFor, limits.willGraceAfterRestart);
    session.will = { will, thing, authorizer: null, owner };
    session.willAt = now + delay;
    // The session ends with its will at the latest, so a client that comes back within the grace takes the will away.
    session.expiresAt = Math.max(session.expiresAt, session.willAt);
  }
  for (const subscription of entry.subscriptions) {
    // Offsets that were lost before they were on disk are given to other messages now, and those are owed.
    const since = Math.min(subscription.since, durable);
    const restored = { kind: "session", session, ...subscription, since } as const;
    session.subscriptions.set(restored);
    core.tree.add(subscription.filter, restored);
    if (since < subscription.since) core.saving.subscribed(session, restored, null);
  }
  core.sessions.set(session.clientId, session);
  if (session.since < entry.since) core.saving.changed(session);
  return session;
}

/** Entry by entry: the log has lost some of them, or it is not known how large they are, or some have exchanges. */
async function loadOutbox(core: Core, session: Session, entry: StoredSession, durable: number): Promise<void> {
  const { clientId, exchanges } = entry;
  const outbox = entry.outbox ?? { head: 0, tail: 0, sentBefore: 0, bytes: 0, applied: 0 };
  const chunks = await core.options.state.queued(clientId, outbox.head, Infinity);
  session.savedTail = session.outbox.restore({ ...outbox, clientId, chunks }, durable, exchanges);
  session.savedHead = outbox.bytes < 0 || outbox.applied > durable ? -1 : outbox.head; // -1: to be written anew
  session.placesUnsure = session.savedTail < session.outbox.tail; // they are others now
  core.saving.touched(session);
  if (exchanges === null) return;
  session.received = new IdentifierSet();
  for (const packetId of exchanges.received) session.received.add(packetId);
  core.saving.exchanged(session); // places in the outbox may change with what follows
}

async function noteAgain(
  core: Core,
  loaded: Loaded,
  shared: SharedReplay,
  offset: number,
  note: SessionNote,
): Promise<void> {
  const { clientId, finished } = note;
  if (isOfExchanges(note)) {
    await bringBack(core, clientId);
    applyNote(core, shared, offset, note);
  }
  const session = core.sessions.get(clientId);
  if (finished === null || session === undefined) return;
  // Said of an earlier session of the client; or of a queue that was saved later, and has others at these places.
  if (offset < Math.max(session.since, loaded.ahead.get(session) ?? 0)) return;
  finishAgain(core, session, finished);
}

/** Notes of exchanges speak of entries, which may still be on disk alone. */
async function bringBack(core: Core, clientId: string): Promise<void> {
  const outbox = core.sessions.get(clientId)?.outbox;
  if (outbox === undefined || !outbox.hasStored) return;
  outbox.bringBack(await core.options.state.queued(clientId, outbox.head, Infinity));
  if (outbox.hasStored) outbox.loseStored();
}

/** Whoever was queued a shared message has it: of what is replayed, nobody else is chosen for that. */
async function noteQueued(core: Core, session: Session, applied: number, queued: Map<number, number[]>): Promise<void> {
  if (!session.subscriptions.list().some(({ filter }) => sharedFilterOf(filter) !== null)) return;
  const { clientId, outbox } = session;
  await bringBack(core, clientId);
  for (let sequence = outbox.head; sequence < outbox.tail; sequence++) {
    const [offset, mark] = [outbox.offset(sequence), outbox.mark(sequence)];
    if (mark === 0 || offset < applied) continue;
    const marks = queued.get(offset);
    if (marks === undefined) queued.set(offset, [mark]);
    else marks.push(mark);
  }
}

/** What the message did to queues and retained messages when it was accepted, and was not saved any more. */
function applyAgain(
  core: Core,
  loaded: Loaded,
  shared: SharedReplay,
  offset: number,
  message: Message,
  packetId: number,
): void {
  const view = frameOf(message);
  const route = core.routes.of(view);
  if (message.retain) retain(core, route, view, offset, message.clientId, message.receivedAt);
  if (message.qos === 0) return;
  if (packetId !== 0) receivedAgain(core, offset, message.clientId, packetId);
  for (const target of route.targets) {
    const share = target.session.clientId === message.clientId ? target.own : target;
    if (share === null || share.qos === 0) continue;
    if (offset < Math.max(share.since, loaded.ahead.get(target.session) ?? 0)) continue;
    oweAgain(core, loaded, share, offset, message, view.end);
  }
  const { topic, qos, receivedAt } = message;
  for (const group of route.groups) {
    if (loaded.queued.get(offset)?.some((mark) => group.hasMark(mark)) === true) continue;
    const open = { group, offset, message: { topic, qos, retain: message.retain, receivedAt }, bytes: view.end };
    if (qos === 1) oweOneOf(core, loaded, open);
    else for (const oldest of shared.add(open)) oweOneOf(core, loaded, oldest);
  }
}

/** Who of the group had it is not known: one is chosen anew, and at QoS 1 a second time does no harm. */
function oweOneOf(core: Core, loaded: Loaded, { group, offset, message, bytes }: OpenMessage): void {
  const member = group.choose(core, null, { qos: message.qos, bytes, replayed: offset });
  if (member !== null) oweAgain(core, loaded, member, offset, message, bytes);
}

function oweAgain(
  core: Core,
  loaded: Loaded,
  target: Target,
  offset: number,
  message: OpenMessage["message"],
  bytes: number,
): void {
  const { session } = target;
  if (loaded.there.has(session) || message.receivedAt <= (session.disconnectedAt ?? 0)) makeRoom(core, session);
  else if (isFull(core, session, bytes)) {
    const fields = { clientId: session.clientId, topic: message.topic, waiting: session.outbox.waiting };
    core.refusals.drop("queue-full", "a message was dropped again: the session's queue is full", fields);
    return;
  }
  const retained = message.retain && target.retainAsPublished;
  const exactlyOnce = message.qos === 2 && target.qos === 2;
  session.outbox.push(offset, bytes, retained, NOWHERE, target.identifiers, exactlyOnce, target.mark);
  core.saving.touched(session);
}

/** The publisher may send it again, because its PUBREC was not sent or got lost. */
function receivedAgain(core: Core, offset: number, clientId: string, packetId: number): void {
  const session = core.sessions.get(clientId);
  if (session === undefined || offset < session.since) return;
  session.received ??= new IdentifierSet();
  session.received.add(packetId);
  core.saving.exchanged(session);
}

/**
 * What a client that was there has acknowledged of the messages of its groups, or since its last note, is not known, so the
 * oldest go: it never owed more at once than its window and its queue hold, and what is older was acknowledged, or dropped and
 * counted at the time. Not at QoS 2, up to as many again: what notes have not said of such a message by now, they may say later.
 */
function makeRoom(core: Core, session: Session): void {
  const { queuedMessagesMax, deliveriesInflightMax } = core.limits;
  const { outbox } = session;
  const most = queuedMessagesMax + deliveriesInflightMax;
  while (outbox.size >= most) {
    if (outbox.isStored(outbox.head)) outbox.dropStored();
    else if (outbox.isExactlyOnce(outbox.head) && !outbox.isDone(outbox.head) && outbox.size < 2 * most) return;
    else skip(core, session);
  }
}
