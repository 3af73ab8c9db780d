/** People over a store in memory and a hasher that is quick. */
import { SimClock, SimLogger, SimMetrics, SimRandom } from "../../sim/world.ts";
import { createHash } from "node:crypto";
import { People } from "./people.ts";
import type { PasswordHasher, PeopleStore, Sealing, StoredPeople } from "./ports.ts";
import type { Key, SavedSession, User } from "./records.ts";

export class MemoryPeopleStore implements PeopleStore {
  readonly users = new Map<string, User>();
  readonly keys = new Map<string, Key>();
  readonly sessions = new Map<string, SavedSession>();
  /** What the next write fails with. */
  failure: Error | null = null;

  load(): StoredPeople {
    return {
      users: [...this.users.values()],
      keys: [...this.keys.values()],
      sessions: [...this.sessions.values()],
    };
  }
  onNews(): () => void {
    return () => {};
  }
  atomically<T>(work: (now: null) => T): T {
    return work(null);
  }
  putUser(user: User): void {
    this.#fail();
    this.users.set(user.name, user);
  }
  deleteUser(name: string): void {
    this.#fail();
    this.users.delete(name);
    for (const key of this.keys.values()) if (key.owner === name) this.keys.delete(key.id);
    for (const session of this.sessions.values()) if (session.user === name) this.sessions.delete(session.id);
  }
  putKey(key: Key): void {
    this.#fail();
    this.keys.set(key.id, key);
  }
  deleteKey(id: string): void {
    this.#fail();
    this.keys.delete(id);
  }
  putSession(session: SavedSession): void {
    this.#fail();
    this.sessions.set(session.id, session);
  }
  deleteSessions(ids: readonly string[]): void {
    this.#fail();
    for (const id of ids) this.sessions.delete(id);
  }
  deleteSessionsOver(now: number, unseenSince: number): readonly string[] {
    this.#fail();
    const over = [...this.sessions.values()].filter((one) => one.endsAt <= now || one.lastSeenAt < unseenSince);
    for (const { id } of over) this.sessions.delete(id);
    return over.map(({ id }) => id);
  }
  touchKeys(keys: readonly Key[]): void {
    this.#fail();
    for (const key of keys) if (this.keys.has(key.id)) this.keys.set(key.id, key);
  }
  touchSessions(sessions: readonly SavedSession[]): void {
    this.#fail();
    for (const session of sessions) if (this.sessions.has(session.id)) this.sessions.set(session.id, session);
  }
  #fail(): void {
    if (this.failure !== null) throw this.failure;
  }
}

/** Remembers how often it was asked: an unknown name must cost as much as a known one. */
export class QuickHasher implements PasswordHasher {
  parameters = "1";
  verified = 0;
  hash(password: string): Promise<string> {
    return Promise.resolve(`${this.parameters}:${password}`);
  }
  verify(password: string, stored: string): Promise<"wrong" | "right" | "outdated"> {
    this.verified++;
    const [parameters, ...rest] = stored.split(":");
    if (rest.join(":") !== password) return Promise.resolve("wrong");
    return Promise.resolve(parameters === this.parameters ? "right" : "outdated");
  }
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const quickSealing: Sealing = {
  sha256,
  hmac: (text) => sha256(`hmac ${text}`),
  seal: (text, about) => `${about}|${text}`,
  open: (sealed, about) => (sealed.startsWith(`${about}|`) ? sealed.slice(about.length + 1) : null),
};

export interface PeopleWorld {
  readonly people: People;
  readonly store: MemoryPeopleStore;
  readonly hasher: QuickHasher;
  readonly clock: SimClock;
  readonly metrics: SimMetrics;
  readonly logger: SimLogger;
  token: string;
  /** The same disk, another process. */
  readonly restarted: () => People;
  /** A user who has set his password. */
  readonly joined: (name: string, role?: string) => Promise<string>;
}

export const ADDRESS = "192.0.2.7";

export function peopleWorld(): PeopleWorld {
  const clock = new SimClock();
  const [store, hasher, metrics, logger] = [
    new MemoryPeopleStore(),
    new QuickHasher(),
    new SimMetrics(),
    new SimLogger(),
  ];
  const random = new SimRandom(11);
  const file: { token: string; revoked: string | null } = { token: "tw_first", revoked: null };
  const open = (): People =>
    new People({
      store,
      passwords: hasher,
      sealing: quickSealing,
      clock,
      scheduler: clock,
      random,
      logger,
      metrics: new SimMetrics(),
      token: {
        read: () => file.token,
        write: (token) => (file.token = token),
        revoked: () => file.revoked,
        revoke: (hash) => (file.revoked = hash),
      },
    });
  const people = open();
  return {
    people,
    store,
    hasher,
    clock,
    metrics,
    logger,
    get token() {
      return file.token;
    },
    set token(token) {
      file.token = token;
    },
    restarted: open,
    joined: async (name, role = "viewer") => {
      const { invitation } = people.users.invite(name, role);
      await people.users.accept(invitation.code, passwordOf(name));
      return passwordOf(name);
    },
  };
}

export function passwordOf(name: string): string {
  return `the long phrase ${name.length} zebra`;
}
