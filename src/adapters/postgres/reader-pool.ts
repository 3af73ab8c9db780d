/** A few connections for queries; more wait. What an aborted query still does is ended on the server. */
import { TidewireError, reasonOf } from "../../base/mod.ts";
import { isPassing } from "./session.ts";
import type { Session } from "./session.ts";

export class ReaderPool {
  readonly #open: () => Promise<Session>;
  readonly #idle: Session[] = [];
  /** Bounded by `queriesWaitingMax` of whoever asks. */
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(open: () => Promise<Session>, size: number) {
    this.#open = open;
    this.#free = size;
  }

  /** Throws STORE_UNAVAILABLE where the server cannot be asked now. */
  async use<T>(work: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((go) => this.#waiting.push(go));
    let session: Session | null = null;
    try {
      signal?.throwIfAborted();
      session = await this.#take();
      return await interruptible(session, work, () => this.#open(), signal);
    } catch (error) {
      if (!(error instanceof TidewireError) && isPassing(error) && signal?.aborted !== true) {
        throw new TidewireError("STORE_UNAVAILABLE", { reason: `PostgreSQL: ${reasonOf(error)}` }, { cause: error });
      }
      throw error;
    } finally {
      if (session?.alive === true) this.#idle.push(session);
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((session) => session.end()));
  }

  async #take(): Promise<Session> {
    for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) {
      if (session.alive) return session;
    }
    return this.#open();
  }
}

async function interruptible<T>(
  session: Session,
  work: (session: Session) => Promise<T>,
  open: () => Promise<Session>,
  signal?: AbortSignal,
): Promise<T> {
  let cancelled: Promise<void> = Promise.resolve();
  const interrupt = (): void => void (cancelled = cancel(session, open));
  signal?.addEventListener("abort", interrupt, { once: true });
  try {
    signal?.throwIfAborted();
    const result = await work(session);
    signal?.throwIfAborted();
    return result;
  } catch (error) {
    signal?.throwIfAborted(); // "canceling statement" becomes the signal's reason
    throw error;
  } finally {
    signal?.removeEventListener("abort", interrupt);
    await cancelled; // or it would end the next query of this connection
  }
}

async function cancel(session: Session, open: () => Promise<Session>): Promise<void> {
  try {
    const other = await open();
    await other.query("SELECT pg_cancel_backend($1)", [session.pid]);
    await other.end();
  } catch (error) {
    session.destroy(new Error("a query could not be cancelled", { cause: error }));
  }
}
