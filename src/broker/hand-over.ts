/**
 * A session ends and owes messages that came by shared subscriptions: they go to other members of the groups, as MQTT 5.0
 * section 4.8.2 asks for. One at QoS 2 that has a packet identifier may have begun to leave, and goes to nobody else
 * [MQTT-4.8.2-5].
 */
import { reasonOf } from "../base/mod.ts";
import type { EpochMs, Message } from "../base/mod.ts";
import type { PublishView } from "../wire/mqtt/mod.ts";
import type { Core } from "./core.ts";
import { deliverToGroup, NOT_KEPT_YET } from "./delivery.ts";
import { expiryLeft, pump } from "./pump.ts";
import type { Waited } from "./delivery.ts";
import { frameOf } from "./frame.ts";
import type { OutboxChunk, Session } from "./session.ts";

/** How long one wait for the disk lasts; who stops the broker waits no longer. */
const WAIT_MS = 1000;
/** What cannot be read is asked for again this often: a disk that fails may work a moment later. */
const ATTEMPTS = 60;

/** Offset, mark, offset, mark, … of what is owed, in order. As long as the session's queue was. */
type Owed = readonly number[];

export class HandOver {
  readonly #core: Core;
  /** One session after the other, so that order is kept and little is read at once. */
  #work: Promise<void> = Promise.resolve();
  /** As many as `ATTEMPTS` again with each read that succeeds: a disk that is broken for good holds up nobody for hours. */
  #attemptsLeft = ATTEMPTS;
  /** Were passed messages in this turn. */
  readonly #toPump = new Set<Session>();

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Takes over what the session owes, once it has left its groups; false where that is nothing. `wasMember`: until now, or
   * while something waited; else what the state store alone has of its queue is not worth looking at. The state store keeps
   * the session until others have its messages in their queues on disk: after a crash it ends once more.
   */
  take(session: Session, wasMember: boolean): boolean {
    const { clientId, outbox } = session;
    const isStored = outbox.hasStored;
    if (isStored ? !wasMember : owedOf(session).length === 0) return false;
    // Asked for at once: the next session of the client takes its place in the store.
    const stored = isStored ? this.#core.options.state.queued(clientId, outbox.head, Infinity) : Promise.resolve([]);
    stored.catch(() => {}); // said when its turn comes
    this.#work = this.#work.then(() => this.#giveAll(session, stored));
    return true;
  }

  /**
   * One message that waits for a member who may not receive it any more goes to another member, in the same turn. False where
   * it came by no shared subscription, or may have begun to leave.
   */
  pass(session: Session, sequence: number, view: PublishView, receivedAt: EpochMs): boolean {
    const { outbox } = session;
    const mark = outbox.mark(sequence);
    if (mark === 0 || sequence < outbox.sentBefore) return false;
    session.placesUnsure = true; // a note would say that it is finished here, and none that it is owed elsewhere
    const waited = { view, offset: outbox.offset(sequence), receivedAt, place: outbox.place(sequence) };
    const taker = this.#toMember(session, mark, waited);
    if (taker === null) return true;
    this.#core.saving.passed(session, taker);
    this.#pumpSoon(taker);
    return true;
  }

  /** Not from within another session's turn, which may be somebody's to whom one is passed. */
  #pumpSoon(session: Session): void {
    if (this.#toPump.size === 0) {
      this.#core.options.scheduler.defer(() => {
        const sessions = [...this.#toPump];
        this.#toPump.clear();
        for (const each of sessions) pump(this.#core, each);
      });
    }
    this.#toPump.add(session);
  }

  settled(): Promise<void> {
    return this.#work;
  }

  async #giveAll(session: Session, stored: Promise<readonly OutboxChunk[]>): Promise<void> {
    const core = this.#core;
    const { clientId, outbox } = session;
    try {
      if (outbox.hasStored) await this.#bringBack(session, stored);
    } catch (error) {
      if (core.closing) return; // the state store keeps the session, and the next start ends it once more
      core.logger.error("the queue of a session that ended cannot be read", { clientId, error: reasonOf(error) });
    }
    if (outbox.hasStored) outbox.loseStored();
    const owed = owedOf(session);
    for (let i = 0; i < owed.length; i += 2) {
      try {
        await this.#give(session, owed[i]!, owed[i + 1]!);
      } catch (error) {
        if (core.closing) return; // likewise
        const fields = { clientId, offset: owed[i]!, error: reasonOf(error) };
        core.refusals.drop("no-longer-kept", "a message of a session that ended cannot be read", fields);
      }
    }
    if (session.saved) await this.#othersAreSaved();
    core.saving.endedBefore(session, core.sessions.get(session.clientId));
  }

  async #othersAreSaved(): Promise<void> {
    const core = this.#core;
    const { saving } = core;
    const { begun } = saving;
    if (!core.closing) await saving.settled();
    // Which does not wait for a store that fails, or a log that takes long.
    while (saving.finished <= begun && !core.closing && !core.restoring) await this.#pause();
  }

  /** What the state store alone has of its queue. Only the session that has its place there now may be asked for. */
  async #bringBack(session: Session, stored: Promise<readonly OutboxChunk[]>): Promise<void> {
    const { state } = this.#core.options;
    const { clientId, outbox } = session;
    const isReplaced = (): boolean => this.#core.sessions.has(clientId);
    const chunks = await stored.catch((error: unknown) => {
      if (isReplaced()) throw error;
      return this.#patiently(session, () =>
        isReplaced() ? Promise.resolve([]) : state.queued(clientId, outbox.head, Infinity),
      );
    });
    outbox.bringBack(chunks);
  }

  async #give(session: Session, offset: number, mark: number): Promise<void> {
    const core = this.#core;
    const message = await this.#read(session, offset);
    if (message === null) {
      const fields = { clientId: session.clientId, offset };
      core.refusals.drop("no-longer-kept", "a message of a session that ended is gone from the log", fields);
      return;
    }
    const { receivedAt } = message;
    const taker = this.#toMember(session, mark, { view: frameOf(message), offset, receivedAt, place: NOT_KEPT_YET });
    if (taker !== null) pump(core, taker);
  }

  /** Whose queue it is in now, if any. */
  #toMember({ clientId }: Session, mark: number, waited: Waited): Session | null {
    const core = this.#core;
    const route = core.routes.of(waited.view);
    const group = route.groups.find((each) => each.hasMark(mark));
    if (group === undefined) return null; // the last member has left, and the shared subscription ended with it
    const left = expiryLeft(waited.view, waited.receivedAt, core.clock.now());
    if (left === null || left > 0) return deliverToGroup(core, group, route, waited);
    const fields = { clientId, topic: route.topic };
    core.refusals.drop("expired", "a message was not delivered: it expired while it waited", fields); // [MQTT-3.3.2-5]
    return null;
  }

  async #read(session: Session, offset: number): Promise<Message | null> {
    const { journal } = this.#core;
    while (offset >= journal.durable) {
      await this.#moreDurable();
      if (this.#core.closing && offset >= journal.durable) return null;
    }
    return this.#patiently(session, () => journal.read(offset));
  }

  async #patiently<T>(session: Session, read: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const result = await read();
        this.#attemptsLeft = ATTEMPTS;
        return result;
      } catch (error) {
        this.#attemptsLeft = Math.max(0, this.#attemptsLeft - 1);
        if (this.#attemptsLeft === 0 || this.#core.closing) throw error;
        const fields = { clientId: session.clientId, error: reasonOf(error) };
        this.#core.logger.warn("what a session that ended owes cannot be read, and is asked for again", fields);
        await this.#pause();
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#core.options.scheduler.after(WAIT_MS, resolve));
  }

  #moreDurable(): Promise<void> {
    const { journal, options } = this.#core;
    return new Promise((resolve) => {
      const done = (): void => {
        cancelSync();
        cancelTimer();
        resolve();
      };
      const cancelSync = journal.onDurable(done);
      const cancelTimer = options.scheduler.after(WAIT_MS, done);
    });
  }
}

function owedOf({ outbox }: Session): Owed {
  const owed: number[] = [];
  for (let sequence = outbox.head; sequence < outbox.tail; sequence++) {
    const mark = outbox.mark(sequence);
    if (mark === 0 || outbox.isDone(sequence)) continue;
    if (outbox.isExactlyOnce(sequence) && outbox.exchanges?.identifier(sequence) !== undefined) continue;
    owed.push(outbox.offset(sequence), mark);
  }
  return owed;
}
