/**
 * Retained messages of new subscriptions: looked up page by page, sent as the client takes them, and never held. What a
 * session keeps meanwhile is how far it got. A turn looks up a bounded number for all sessions together, so whoever
 * subscribes to everything again and again delays himself.
 */
import { reasonOf } from "../base/mod.ts";
import { REASON } from "../wire/mqtt/mod.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { pump, sendRetained } from "./pump.ts";
import { hasWildcard } from "./retained.ts";
import type { RetainedWanted, Session } from "./session.ts";

/** Messages that one look-up asks for. */
const PAGE = 128;
/** Messages that all look-ups of one turn may ask for: a few milliseconds of the state store. */
const PER_TURN = 512;
/** Look-ups under way, where the store takes longer than a turn. */
const UNDER_WAY_MAX = 64;

export class RetainedLookups {
  readonly #core: Core;
  readonly #waiting = new Set<Session>();
  #underWay = 0;
  #planned = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** The session's client could take more. */
  plan(session: Session): void {
    if (session.retainedWanted === null || session.lookingUp) return;
    this.#waiting.add(session);
    this.#planTurn();
  }

  #planTurn(): void {
    if (this.#planned || this.#waiting.size === 0 || this.#underWay >= UNDER_WAY_MAX) return;
    this.#planned = true;
    this.#core.options.scheduler.defer(() => {
      this.#planned = false;
      this.#turn();
    });
  }

  #turn(): void {
    let left = PER_TURN;
    for (const session of this.#waiting) {
      if (left <= 0 || this.#underWay >= UNDER_WAY_MAX) break;
      this.#waiting.delete(session);
      left -= this.#begin(session);
    }
    this.#planTurn();
  }

  /** Returns how many messages were asked for. */
  #begin(session: Session): number {
    const { connection } = session;
    if (connection?.state !== "connected" || !mayTakeMore(session, connection)) return 0; // planned again by `pump`
    for (const [filter, wanted] of session.retainedWanted ?? []) {
      if (session.subscriptions.get(filter) !== wanted.subscription) {
        done(session, filter);
        continue;
      }
      const room = connection.window - session.outbox.inFlight - session.outbox.waiting;
      const max = !hasWildcard(filter) ? 1 : wanted.subscription.qos === 0 ? PAGE : Math.min(PAGE, room);
      void this.#lookUp(session, connection, filter, wanted, max);
      return max;
    }
    return 0;
  }

  async #lookUp(
    session: Session,
    connection: Connection,
    filter: string,
    wanted: RetainedWanted,
    max: number,
  ): Promise<void> {
    const core = this.#core;
    this.#underWay++;
    session.lookingUp = true;
    try {
      const { found, upTo } = await core.retained.page(filter, wanted.after, max);
      if (session.connection !== connection || session.retainedWanted?.get(filter) !== wanted) return;
      if (session.outbox.waiting > 0 || session.reading) return; // older deliveries first
      for (const retained of found) {
        if (connection.isOver || !mayTakeMore(session, connection)) return;
        sendRetained(core, session, connection, retained, wanted);
        wanted.after = retained.topic;
      }
      if (upTo === null) done(session, filter);
      else wanted.after = upTo;
    } catch (error) {
      const fields = { ...connection.describe(), error: reasonOf(error) };
      core.logger.error("retained messages cannot be looked up", fields);
      connection.refuse(
        "state-failed",
        REASON.implementationSpecificError,
        "SERVER_ERROR",
        "the platform cannot read its retained messages",
      );
    } finally {
      this.#underWay--;
      session.lookingUp = false;
      pump(core, session); // which plans the next look-up, where there is one
      this.#planTurn();
    }
  }
}

function mayTakeMore(session: Session, connection: Connection): boolean {
  const { inFlight, waiting } = session.outbox;
  return connection.hasRoom && inFlight + waiting < connection.window;
}

function done(session: Session, filter: string): void {
  session.retainedWanted?.delete(filter);
  if (session.retainedWanted?.size === 0) session.retainedWanted = null;
}
