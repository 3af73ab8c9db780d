/** After a start: sessions and retained messages from the state store, then what the journal has beyond it. */
import type { Message } from "../base/mod.ts";
import type { SessionNote } from "../wire/record/mod.ts";
import type { Core } from "./core.ts";
import { isFull, skip } from "./delivery.ts";
import { Exchanges } from "./exchanges.ts";
import { frameOf } from "./frame.ts";
import { IdentifierSet } from "./identifier-set.ts";
import { away } from "./lifecycle.ts";
import type { SavedState } from "./ports.ts";
import { retain } from "./publish.ts";
import type { Outbox } from "./outbox.ts";
import { NOWHERE } from "./recent-frames.ts";
import { Session } from "./session.ts";
import type { StoredSession } from "./session.ts";

interface Loaded {
  /** Clients that were not seen to leave, as far as the store knows. */
  readonly there: Set<Session>;
  /** Sessions whose queues reflect more than all the rest does, and up to where. */
  readonly ahead: Map<Session, number>;
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
  for await (const logged of core.journal.replay(applied)) {
    if (logged.kind === "note") {
      await bringBack(core, logged.note);
      applyNote(core, logged.offset, logged.note);
    } else applyAgain(core, loaded, logged.offset, logged.message, logged.packetId);
    replayed++;
  }
  for (const session of core.sessions.values()) {
    const { outbox } = session;
    if (outbox.exchanges?.idle === true) outbox.exchanges = null;
    else if (outbox.exchanges !== null) outbox.exchanges.namedUpTo = 0; // what the notes left out is named when it is about to leave
    away(core, session);
  }
  core.restoring = false;
  core.saving.progressDue();
  const sessions = core.sessions.size;
  core.logger.info("broker state restored", {
    sessions,
    retained: core.retained.size,
    appliedOffset: applied,
    replayed,
  });
}

async function loadSessions(core: Core, saved: SavedState, durable: number): Promise<Loaded> {
  const there = new Set<Session>();
  const ahead = new Map<Session, number>();
  for await (const batch of saved.sessions) {
    for (const entry of batch) {
      const session = loadSession(core, entry, durable);
      if (entry.disconnectedAt === null) there.add(session);
      const { outbox, exchanges } = entry;
      if (outbox !== null && outbox.applied > saved.appliedOffset) ahead.set(session, outbox.applied);
      const shorter = Math.max(saved.appliedOffset, outbox?.applied ?? 0) > durable;
      const entries = outbox !== null && outbox.tail > outbox.head && (shorter || outbox.bytes < 0);
      if (entries || exchanges !== null) await loadOutbox(core, session, entry, durable);
      else if (outbox !== null) {
        session.outbox.adopt(outbox);
        session.savedHead = outbox.head;
        session.savedTail = outbox.tail;
      }
    }
  }
  return { there, ahead };
}

function loadSession(core: Core, entry: StoredSession, durable: number): Session {
  const { clock, limits } = core;
  const now = core.now();
  const session = new Session(entry.clientId);
  const absentFor = entry.disconnectedAt === null ? 0 : Math.max(0, clock.now() - entry.disconnectedAt);
  session.saved = true;
  session.expirySeconds = entry.expirySeconds;
  session.versionNumber = entry.versionNumber;
  session.since = Math.min(entry.since, durable); // as with subscriptions, below
  session.disconnectedAt = entry.disconnectedAt ?? clock.now();
  session.expiresAt = now + Math.max(0, entry.expirySeconds * 1000 - absentFor);
  if (entry.will !== null) {
    const { will, thing } = entry.will;
    const delay = Math.max(will.delaySeconds * 1000 - absentFor, limits.willGraceAfterRestart);
    session.will = { will, thing, authorizer: null };
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
  session.savedHead = outbox.bytes < 0 ? -1 : outbox.head; // -1: to be written anew
  core.saving.touched(session);
  if (exchanges === null) return;
  session.received = new IdentifierSet();
  for (const packetId of exchanges.received) session.received.add(packetId);
  core.saving.exchanged(session); // places in the outbox may change with what follows
}

/** Notes speak of entries. */
async function bringBack(core: Core, { clientId }: SessionNote): Promise<void> {
  const outbox = core.sessions.get(clientId)?.outbox;
  if (outbox === undefined || !outbox.hasStored) return;
  outbox.bringBack(await core.options.state.queued(clientId, outbox.head, Infinity));
  if (outbox.hasStored) outbox.loseStored();
}

/** What the message did to queues and retained messages when it was accepted, and was not saved any more. */
function applyAgain(core: Core, { there, ahead }: Loaded, offset: number, message: Message, packetId: number): void {
  const view = frameOf(message);
  const route = core.routes.of(view);
  if (message.retain) retain(core, route, view, offset, message.clientId, message.receivedAt);
  if (message.qos === 0) return;
  if (packetId !== 0) receivedAgain(core, offset, message.clientId, packetId);
  for (const target of route.targets) {
    const { session } = target;
    const share = session.clientId === message.clientId ? target.own : target;
    if (share === null || share.qos === 0 || offset < Math.max(share.since, ahead.get(session) ?? 0)) continue;
    if (there.has(session) || message.receivedAt <= (session.disconnectedAt ?? 0)) makeRoom(core, session);
    else if (isFull(core, session, view.end)) {
      const fields = { clientId: session.clientId, topic: message.topic, waiting: session.outbox.waiting };
      core.refusals.drop("queue-full", "a message was dropped again: the session's queue is full", fields);
      continue;
    }
    const retained = message.retain && share.retainAsPublished;
    const exactlyOnce = message.qos === 2 && share.qos === 2;
    session.outbox.push(offset, view.end, retained, NOWHERE, share.identifiers, exactlyOnce);
    core.saving.touched(session);
  }
}

/** The publisher may send it again, because its PUBREC was not sent or got lost. */
function receivedAgain(core: Core, offset: number, clientId: string, packetId: number): void {
  const session = core.sessions.get(clientId);
  if (session === undefined || offset < session.since) return;
  session.received ??= new IdentifierSet();
  session.received.add(packetId);
  core.saving.exchanged(session);
}

/** What the session had noted of its QoS 2 exchanges, so that both ends mean the same by an identifier. */
function applyNote(core: Core, offset: number, { clientId, released, received, sent }: SessionNote): void {
  const session = core.sessions.get(clientId);
  if (session === undefined || offset < session.since) return;
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
  for (let i = 0; i < sent.length; i += 2) nameAgain(outbox, exchanges, sent[i]!, sent[i + 1]!);
  outbox.trim();
  core.saving.exchanged(session);
  core.saving.touched(session);
}

function nameAgain(outbox: Outbox, exchanges: Exchanges, packetId: number, offset: number): void {
  const before = exchanges.place(packetId);
  if (before !== undefined) outbox.finish(before); // the client refused it; that is in no note
  let sequence = outbox.unnamed(offset, exchanges.namedUpTo);
  if (sequence < 0) sequence = outbox.unnamed(offset, 0);
  // A retained message, which no replay puts into a queue; or one whose subscription has ended since.
  if (sequence < 0) sequence = outbox.push(offset, 1, true, NOWHERE, null, true);
  exchanges.nameAgain(sequence, packetId);
  exchanges.namedUpTo = sequence + 1;
  outbox.sentBefore = Math.max(outbox.sentBefore, sequence + 1); // it may have been sent
}

/**
 * What a client that was there has acknowledged since the last saving is not known, so the oldest go: it never owed more
 * at once than its window and its queue hold, and what is older was acknowledged, or dropped and counted at the time.
 */
function makeRoom(core: Core, session: Session): void {
  const { queuedMessagesMax, deliveriesInflightMax } = core.limits;
  const { outbox } = session;
  while (outbox.size >= queuedMessagesMax + deliveriesInflightMax) {
    if (outbox.isStored(outbox.head)) outbox.dropStored();
    else skip(core, session);
  }
}
