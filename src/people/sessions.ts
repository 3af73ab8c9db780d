/** Open dashboards. The cookie is a random value; only its HMAC is kept, so who reads the disk cannot be anybody. */
import { LIMITS } from "../base/mod.ts";
import type { EpochMs } from "../base/mod.ts";
import type { PeoplePorts } from "./ports.ts";
import type { SavedSession } from "./records.ts";
import { randomName, randomText } from "./secrets.ts";

export interface SessionFacts {
  readonly id: string;
  readonly user: string | null;
  readonly createdAt: EpochMs;
  readonly lastSeenAt: EpochMs;
  readonly endsAt: EpochMs;
  readonly address: string;
  readonly agent: string;
}

export class SessionBook {
  readonly #ports: Pick<PeoplePorts, "store" | "sealing" | "clock" | "random">;
  /** By id; `LIMITS.people.sessionsMax` at most. */
  readonly #sessions: Map<string, SavedSession>;
  readonly #byHash = new Map<string, string>();
  /** Only "last seen" moved: saved with the next round. */
  readonly #seen = new Set<string>();

  constructor(ports: PeoplePorts, saved: readonly SavedSession[]) {
    this.#ports = ports;
    this.#sessions = new Map(saved.map((session) => [session.id, session]));
    for (const { id, hash } of saved) this.#byHash.set(hash, id);
    ports.metrics.observe(
      { name: "tidewire_dashboard_sessions", help: "Dashboards that are logged in" },
      () => this.#sessions.size,
    );
  }

  /** Begins one; `value` is the cookie's. */
  begin(
    user: string | null,
    address: string,
    agent: string,
  ): { readonly value: string; readonly session: SessionFacts } {
    this.#makeRoom(user);
    const now = this.#ports.clock.now();
    const value = randomText(this.#ports.random, 43);
    const session: SavedSession = {
      id: randomName(this.#ports.random, 16).toLowerCase(),
      hash: this.#ports.sealing.hmac(value),
      user,
      createdAt: now,
      lastSeenAt: now,
      endsAt: now + LIMITS.http.sessionLifetime,
      address,
      agent: printable(agent).slice(0, 200),
    };
    this.#ports.store.putSessions([session]);
    this.#sessions.set(session.id, session);
    this.#byHash.set(session.hash, session.id);
    return { value, session: factsOf(session) };
  }

  /** Null where the value is forged, or its session over. */
  find(value: string): SessionFacts | null {
    if (value.length > 100) return null;
    const id = this.#byHash.get(this.#ports.sealing.hmac(value));
    return id === undefined ? null : this.get(id);
  }

  get(id: string): SessionFacts | null {
    const session = this.#sessions.get(id);
    return session === undefined || this.#isOver(session) ? null : factsOf(session);
  }

  /** Somebody is looking at it. */
  touch(id: string): void {
    const session = this.#sessions.get(id);
    const now = this.#ports.clock.now();
    if (session === undefined || now - session.lastSeenAt < LIMITS.people.lastSeenSavedEvery) return;
    this.#sessions.set(id, { ...session, lastSeenAt: now });
    this.#seen.add(id);
  }

  /** Without a user everybody's. */
  list(user?: string | null): readonly SessionFacts[] {
    return [...this.#sessions.values()]
      .filter((session) => !this.#isOver(session) && (user === undefined || session.user === user))
      .map(factsOf)
      .sort((a, b) => b.lastSeenAt - a.lastSeenAt);
  }

  /** Those that are there; others change nothing. */
  end(which: (session: SessionFacts) => boolean): number {
    const ids = [...this.#sessions.values()].filter((session) => which(factsOf(session))).map(({ id }) => id);
    this.#remove(ids);
    return ids.length;
  }

  /** Writes what moved, and forgets those that are over. */
  flush(): number {
    const over = [...this.#sessions.values()].filter((session) => this.#isOver(session)).map(({ id }) => id);
    this.#remove(over);
    const moved = [...this.#seen].flatMap((id) => this.#sessions.get(id) ?? []);
    this.#seen.clear();
    if (moved.length > 0) this.#ports.store.putSessions(moved);
    return over.length;
  }

  #remove(ids: readonly string[]): void {
    if (ids.length === 0) return;
    this.#ports.store.deleteSessions(ids);
    for (const id of ids) {
      const session = this.#sessions.get(id);
      if (session !== undefined) this.#byHash.delete(session.hash);
      this.#sessions.delete(id);
    }
  }

  #isOver({ endsAt, lastSeenAt }: SavedSession): boolean {
    const now = this.#ports.clock.now();
    return now >= endsAt || now - lastSeenAt > LIMITS.people.sessionIdle;
  }

  #makeRoom(user: string | null): void {
    const mine = [...this.#sessions.values()].filter((session) => session.user === user);
    const full = mine.length >= LIMITS.people.sessionsPerUserMax ? mine : null;
    const crowd = full ?? (this.#sessions.size >= LIMITS.people.sessionsMax ? [...this.#sessions.values()] : null);
    if (crowd === null) return;
    this.#remove([crowd.reduce((a, b) => (a.lastSeenAt <= b.lastSeenAt ? a : b)).id]);
  }
}

function factsOf({ id, user, createdAt, lastSeenAt, endsAt, address, agent }: SavedSession): SessionFacts {
  return { id, user, createdAt, lastSeenAt, endsAt, address, agent };
}

/** A stranger's text that ends up on an administrator's screen. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "");
}
