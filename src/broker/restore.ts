/** After a start: sessions and retained messages from the state store, then what the journal has beyond it. */
import type { EpochMs, Message } from "../base/mod.ts";
import type { SessionNote } from "../wire/record/mod.ts";
import type { Core } from "./core.ts";
import { isFull, skip } from "./delivery.ts";
import { Exchanges } from "./exchanges.ts";
import { frameOf, ownFrame } from "./frame.ts";
import { IdentifierSet } from "./identifier-set.ts";
import type { SavedState } from "./ports.ts";
import { retain } from "./publish.ts";
import type { Outbox } from "./outbox.ts";
import { NOWHERE } from "./recent-frames.ts";
import { Session } from "./session.ts";

/** Until when each client was there, as far as the store knows: for ever where it was not seen to leave. */
type ThereUntil = Map<Session, EpochMs>;

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
  const there = loadSessions(core, saved, durable);
  loadRetained(core, saved, durable);
  core.saving.startAt(saved.appliedOffset);
  let replayed = 0;
  for await (const logged of core.journal.replay(applied)) {
    if (logged.kind === "note") applyNote(core, logged.offset, logged.note);
    else applyAgain(core, there, logged.offset, logged.message, logged.packetId);
    replayed++;
  }
  for (const { outbox } of core.sessions.values()) {
    if (outbox.exchanges === null) continue;
    if (outbox.exchanges.idle) outbox.exchanges = null;
    else outbox.exchanges.namedUpTo = 0; // what the notes left out is named when it is about to leave
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

function loadSessions(core: Core, saved: SavedState, durable: number): ThereUntil {
  const { clock, limits } = core;
  const there: ThereUntil = new Map();
  const now = core.now();
  for (const entry of saved.sessions) {
    const session = new Session(entry.clientId);
    const absentFor = entry.disconnectedAt === null ? 0 : Math.max(0, clock.now() - entry.disconnectedAt);
    there.set(session, entry.disconnectedAt ?? Infinity);
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
      session.subscriptions.set(subscription.filter, restored);
      core.tree.add(subscription.filter, restored);
      if (since < subscription.since) core.saving.subscribed(session, restored, null);
    }
    core.sessions.set(session.clientId, session);
    core.absent.add(session);
    if (session.since < entry.since) core.saving.changed(session);
  }
  loadOutboxes(core, saved, durable);
  return there;
}

function loadOutboxes(core: Core, saved: SavedState, durable: number): void {
  const exchanges = new Map(saved.exchanges.map((entry) => [entry.clientId, entry]));
  for (const { clientId, received } of saved.exchanges) {
    const session = core.sessions.get(clientId);
    if (session === undefined) continue;
    session.received = new IdentifierSet();
    for (const packetId of received) session.received.add(packetId);
    core.saving.exchanged(session); // places in the outbox may change with what follows
  }
  const without = new Set(exchanges.keys());
  for (const outbox of saved.outboxes) without.delete(outbox.clientId);
  const empty = Array.from(without, (clientId) => ({ clientId, head: 0, sentBefore: 0, chunks: [] }));
  for (const outbox of [...saved.outboxes, ...empty]) {
    const session = core.sessions.get(outbox.clientId);
    if (session === undefined) continue;
    session.savedTail = session.outbox.restore(outbox, durable, exchanges.get(outbox.clientId));
    session.savedHead = outbox.head;
  }
}

function loadRetained(core: Core, saved: SavedState, durable: number): void {
  const lost: string[] = [];
  for (const { topic, frame, offset, clientId, receivedAt, expiresAt } of saved.retained) {
    if (frame === null) continue;
    if (offset >= durable) lost.push(topic);
    else core.retained.set({ topic, frame: ownFrame(frame), offset, clientId, receivedAt, expiresAt, current: true });
  }
  core.retained.changed.clear();
  for (const topic of lost) core.retained.changed.add(topic); // else it would be back once the log has grown again
}

/** What the message did to queues and retained messages when it was accepted, and was not saved any more. */
function applyAgain(core: Core, there: ThereUntil, offset: number, message: Message, packetId: number): void {
  const view = frameOf(message);
  const route = core.routes.of(view);
  if (message.retain) retain(core, route, view, offset, message.clientId, message.receivedAt);
  if (message.qos === 0) return;
  if (packetId !== 0) receivedAgain(core, offset, message.clientId, packetId);
  for (const target of route.targets) {
    const { session } = target;
    const share = session.clientId === message.clientId ? target.own : target;
    if (share === null || share.qos === 0 || offset < share.since) continue;
    if (message.receivedAt <= (there.get(session) ?? 0)) makeRoom(core, session);
    else if (isFull(core, session, view.end)) {
      const fields = { clientId: session.clientId, topic: message.topic, waiting: session.outbox.waiting };
      core.refusals.drop("queue-full", "a message was dropped again: the session's queue is full", fields);
      continue;
    }
    const retained = message.retain && share.retainAsPublished;
    const exactlyOnce = message.qos === 2 && share.qos === 2;
    session.outbox.push(offset, view.end, retained, NOWHERE, share.identifiers, exactlyOnce);
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
  while (session.outbox.size >= queuedMessagesMax + deliveriesInflightMax) skip(core, session);
}
