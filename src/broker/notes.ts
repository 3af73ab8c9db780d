/**
 * What sessions have to say to the log: one note per session and turn. About their QoS 2 exchanges, so that whatever dies,
 * both ends still agree on which identifier stands for which message (docs/decisions/0004); packets that depend on such a note
 * wait for it among the pending acknowledgements. And now and then how far their client has come, so that a start does not
 * take for owed what was delivered since state was saved; nothing waits for that.
 */
import { isTidewireError, reasonOf } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import { ANSWER } from "./acknowledgements.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import type { Finished } from "../wire/record/mod.ts";
import type { Session } from "./session.ts";

/** Bounded by the windows of both ends, and `answers` by how long its connection is read from. */
export interface PendingNote {
  readonly released: number[];
  readonly received: number[];
  /** As `SessionNote.sent`. */
  readonly sent: number[];
  /** PUBCOMPs, as `PendingAcknowledgements` takes them (identifier, code, in turns), for `answersTo`. */
  readonly answers: number[];
  answersTo: Connection | null;
  /** Those of `sent` that came by shared subscriptions. */
  readonly shared: number[];
}

/** In a note, for a session that does not outlive a crash; no client has it. */
export const NOT_KEPT = "";
/** What a note takes in the log, about. */
const NOTE_BYTES = 100;
const ENTRY_BYTES = 5;
/** How far a client has come is noted once so many messages were finished, or this part of what a queue may hold. */
const FINISHED_MESSAGES = 512;
const FINISHED_PART = 8;

export class Notes {
  readonly #core: Core;
  #sessions: Session[] = [];
  /** Deliveries were named whose message, and all else, is on disk already. */
  #ready = false;

  constructor(core: Core) {
    this.#core = core;
  }

  of(session: Session): PendingNote {
    if (session.note === null) {
      session.note = { released: [], received: [], sent: [], answers: [], answersTo: null, shared: [] };
      this.#sessions.push(session);
      this.#core.planTurnEnd();
    }
    return session.note;
  }

  /** The session's client may have acknowledged something. HOT: once per chunk that it sent. */
  progressed(session: Session): void {
    if (this.#isWorthNoting(session)) this.of(session);
  }

  /** And would be understood by a start, which goes by the session that the state store has, and by its places there. */
  #isWorthNoting(session: Session): boolean {
    const { limits, saving } = this.#core;
    const { unnoted, unnotedBytes } = session.outbox;
    const many = unnoted >= Math.min(FINISHED_MESSAGES, limits.queuedMessagesMax / FINISHED_PART);
    if (!many && unnotedBytes < limits.queuedBytesMax / FINISHED_PART) return false;
    return session.persistent && !session.placesUnsure && saving.holds(session);
  }

  /** Null where there is nothing new to say. */
  #position(session: Session): Finished | null {
    if (!this.#isWorthNoting(session)) return null;
    const { outbox } = session;
    outbox.unnoted = outbox.unnotedBytes = 0;
    return outbox.position(this.#core.lastOffset + 1);
  }

  /** Called at the end of each turn. What the log does not take is offered to it again. True where some need not wait. */
  flush(): boolean {
    if (this.#sessions.length === 0) return false;
    const sessions = this.#sessions;
    this.#sessions = [];
    for (const session of sessions) if (!this.write(session)) this.#sessions.push(session);
    const ready = this.#ready;
    this.#ready = false;
    return ready;
  }

  /** Notes that the log did not take wait for another turn. */
  retry(): void {
    if (this.#sessions.length > 0) this.#core.planTurnEnd();
  }

  /** Writes the session's note now; false where the log does not take it. */
  write(session: Session): boolean {
    const core = this.#core;
    const { note, clientId } = session;
    if (note === null || session.ended) return true;
    const { released, received, sent, answers, answersTo } = note;
    // Where the session is not kept, a start must still know which messages no other member of a group may have.
    const lasting = session.persistent
      ? { clientId, released, received, sent, finished: this.#position(session) }
      : { clientId: NOT_KEPT, released: [], received: [], sent: note.shared, finished: null };
    const entries = lasting.released.length + lasting.received.length + lasting.sent.length;
    if (entries > 0 || lasting.finished !== null) {
      try {
        core.lastOffset = core.journal.appendNote(lasting);
      } catch (error) {
        if (entries > 0) this.#refused(session, error);
        else session.note = null; // said again when there is more to say
        return entries === 0;
      }
      core.backlog.add(NOTE_BYTES + entries * ENTRY_BYTES);
    }
    session.note = null;
    const { connection } = session;
    const { exchanges } = session.outbox;
    const offset = core.lastOffset;
    if (connection !== null) {
      for (const packetId of received) core.acknowledgements.push(connection, packetId, ANSWER.pubrel, offset);
    }
    if (answersTo !== null) {
      for (let i = 0; i < answers.length; i += 2) {
        core.acknowledgements.push(answersTo, answers[i]!, answers[i + 1]!, offset);
      }
    }
    if (sent.length === 0 || exchanges === null) return true;
    exchanges.noted(offset);
    if (offset < core.journal.durable) this.#ready = true;
    return true;
  }

  #refused(session: Session, error: unknown): void {
    const full = isTidewireError(error) && error.entry.mqtt === REASON.quotaExceeded;
    const fields = { clientId: session.clientId, error: reasonOf(error) };
    const kind = full ? "journal-full" : "journal-failed";
    this.#core.refusals.refuse(kind, "QoS 2 deliveries and releases wait: the log does not take their note", fields);
  }
}
