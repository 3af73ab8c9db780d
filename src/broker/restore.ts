/** After a start: sessions and retained messages from the state store, then what the journal has beyond it. */
import type { Message } from "../base/mod.ts";
import type { Core } from "./core.ts";
import { isFull } from "./delivery.ts";
import { frameOf, ownFrame } from "./frame.ts";
import type { SavedState } from "./ports.ts";
import { retain } from "./publish.ts";
import { NOWHERE } from "./recent-frames.ts";
import { Session } from "./session.ts";

export async function restoreState(core: Core): Promise<void> {
  const saved = await core.options.state.load();
  const { durable } = core.journal;
  if (saved.appliedOffset > durable) {
    // A journal that was cut or replaced: what the store says about later offsets means other messages now.
    const fields = { appliedOffset: saved.appliedOffset, durable };
    core.logger.error("the broker's state is ahead of the log; queued messages that the log lost are dropped", fields);
  }
  const applied = Math.min(saved.appliedOffset, durable);
  core.lastOffset = Math.max(core.lastOffset, durable - 1);
  loadSessions(core, saved, durable);
  loadRetained(core, saved, durable);
  core.saving.startAt(saved.appliedOffset);
  let replayed = 0;
  for await (const { offset, message } of core.journal.replay(applied)) {
    applyAgain(core, offset, message);
    replayed++;
  }
  const sessions = core.sessions.size;
  core.logger.info("broker state restored", {
    sessions,
    retained: core.retained.size,
    appliedOffset: applied,
    replayed,
  });
}

function loadSessions(core: Core, saved: SavedState, durable: number): void {
  const { clock, limits } = core;
  const now = core.now();
  for (const entry of saved.sessions) {
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
      const restored = { kind: "session", session, ...subscription } as const;
      session.subscriptions.set(subscription.filter, restored);
      core.tree.add(subscription.filter, restored);
    }
    core.sessions.set(session.clientId, session);
    core.absent.add(session);
  }
  for (const outbox of saved.outboxes) {
    const session = core.sessions.get(outbox.clientId);
    if (session === undefined) continue;
    session.outbox.restore(outbox, durable);
    session.savedHead = outbox.head;
    session.savedTail = session.outbox.tail;
  }
}

function loadRetained(core: Core, saved: SavedState, durable: number): void {
  for (const { topic, frame, offset, clientId, receivedAt, expiresAt } of saved.retained) {
    if (frame === null || offset >= durable) continue;
    core.retained.set({ topic, frame: ownFrame(frame), offset, clientId, receivedAt, expiresAt, current: true });
  }
  core.retained.changed.clear();
}

/** What the message did to queues and retained messages when it was accepted, and was not saved any more. */
function applyAgain(core: Core, offset: number, message: Message): void {
  const view = frameOf(message);
  const route = core.routes.of(view);
  if (message.retain) retain(core, route, view, offset, message.clientId, message.receivedAt);
  if (message.qos === 0) return;
  for (const target of route.targets) {
    const { session } = target;
    const share = session.clientId === message.clientId ? target.own : target;
    if (share === null || share.qos === 0 || offset < share.since || isFull(core, session, view.end)) continue;
    const retained = message.retain && share.retainAsPublished;
    session.outbox.push(offset, view.end, retained, NOWHERE, share.identifiers);
  }
}
