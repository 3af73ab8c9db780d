/** After a start: sessions and retained messages from the state store, then what the journal has beyond it. */
import type { Message } from "../base/mod.ts";
import type { Core } from "./core.ts";
import { isFull, skip } from "./delivery.ts";
import { frameOf } from "./frame.ts";
import { away } from "./lifecycle.ts";
import type { SavedState } from "./ports.ts";
import { retain } from "./publish.ts";
import { NOWHERE } from "./recent-frames.ts";
import { Session } from "./session.ts";
import type { StoredOutbox, StoredSession } from "./session.ts";

/** Clients that were not seen to leave, as far as the store knows. */
type There = Set<Session>;

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
  const there = await loadSessions(core, saved, durable);
  await core.retained.start(durable);
  let replayed = 0;
  for await (const { offset, message } of core.journal.replay(applied)) {
    applyAgain(core, there, offset, message);
    replayed++;
  }
  for (const session of core.sessions.values()) away(core, session);
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

async function loadSessions(core: Core, saved: SavedState, durable: number): Promise<There> {
  const there: There = new Set();
  const shorter = saved.appliedOffset > durable;
  for await (const batch of saved.sessions) {
    for (const entry of batch) {
      const session = loadSession(core, entry, durable);
      if (entry.disconnectedAt === null) there.add(session);
      const { outbox } = entry;
      if (outbox === null) continue;
      session.savedHead = outbox.head;
      session.savedTail = outbox.tail;
      if ((shorter || outbox.bytes < 0) && outbox.tail > outbox.head) await loadOutbox(core, session, outbox, durable);
      else session.outbox.adopt(outbox);
    }
  }
  return there;
}

function loadSession(core: Core, entry: StoredSession, durable: number): Session {
  const { clock, limits } = core;
  const now = core.now();
  const session = new Session(entry.clientId);
  const absentFor = entry.disconnectedAt === null ? 0 : Math.max(0, clock.now() - entry.disconnectedAt);
  session.saved = true;
  session.expirySeconds = entry.expirySeconds;
  session.versionNumber = entry.versionNumber;
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
  return session;
}

/** Entry by entry: the log has lost some of them, or it is not known how large they are. */
async function loadOutbox(core: Core, session: Session, stored: StoredOutbox, durable: number): Promise<void> {
  const chunks = await core.options.state.queued(session.clientId, stored.head, Infinity);
  session.savedTail = session.outbox.restore({ ...stored, clientId: session.clientId, chunks }, durable);
  session.savedHead = -1; // what is stored about it is to be written anew
  core.saving.touched(session);
}

/** What the message did to queues and retained messages when it was accepted, and was not saved any more. */
function applyAgain(core: Core, there: There, offset: number, message: Message): void {
  const view = frameOf(message);
  const route = core.routes.of(view);
  if (message.retain) retain(core, route, view, offset, message.clientId, message.receivedAt);
  if (message.qos === 0) return;
  for (const target of route.targets) {
    const { session } = target;
    const share = session.clientId === message.clientId ? target.own : target;
    if (share === null || share.qos === 0 || offset < share.since) continue;
    if (there.has(session) || message.receivedAt <= (session.disconnectedAt ?? 0)) makeRoom(core, session);
    else if (isFull(core, session, view.end)) {
      const fields = { clientId: session.clientId, topic: message.topic, waiting: session.outbox.waiting };
      core.refusals.drop("queue-full", "a message was dropped again: the session's queue is full", fields);
      continue;
    }
    const retained = message.retain && share.retainAsPublished;
    session.outbox.push(offset, view.end, retained, NOWHERE, share.identifiers);
    core.saving.touched(session);
  }
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
    else skip(session);
  }
}
