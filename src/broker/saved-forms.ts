/** What the state store is given of a session. */
import type { SavedExchanges, SavedOutbox, SavedSession, SavedSubscription, Session, Subscription } from "./session.ts";

export function willOf(session: Session): SavedSession["will"] {
  const standing = session.connection === null ? session.will : session.connection.will;
  if (standing === null) return null;
  const { will, thing, authorizer, owner } = standing;
  return { will, thing, owner: authorizer?.owner ?? owner };
}

export function savedOf({
  filter,
  qos,
  noLocal,
  retainAsPublished,
  identifier,
  since,
}: Subscription): SavedSubscription {
  return { filter, qos, noLocal, retainAsPublished, identifier, since };
}

/** What the store does not have of the session's outbox, as far as it is below the horizon. */
export function addChanged(outboxes: SavedOutbox[], session: Session, horizon: number): void {
  const outbox = session.saved && session.persistent ? changedOutbox(session, horizon) : null;
  if (outbox !== null) outboxes.push(outbox);
}

/** Null where that is nothing. */
function changedOutbox({ clientId, outbox, savedHead, savedTail }: Session, horizon: number): SavedOutbox | null {
  const { head, sentBefore } = outbox;
  const from = Math.max(savedTail, head);
  let to = from;
  while (to < outbox.tail && outbox.offset(to) < horizon) to++;
  if (to === from && savedHead === head) return null;
  const chunks = to > from ? [outbox.pack(from, to)] : [];
  return { clientId, head, tail: to, sentBefore, bytes: outbox.bytesBelow(to), applied: horizon, chunks };
}

/** Or never will be. */
export function isSaved({ saved, persistent, ended, outbox, savedHead, savedTail }: Session): boolean {
  return ended || !persistent || (saved && savedTail >= outbox.tail && savedHead === outbox.head);
}

export function exchangesOf({ clientId, received, outbox }: Session): SavedExchanges {
  const { exchanges } = outbox;
  return {
    clientId,
    received: received?.values() ?? [],
    sent: exchanges?.pack() ?? [],
    released: [...(exchanges?.released ?? [])],
    done: outbox.finishedEarly(),
  };
}
