/** What people and keys need from the outside. */
import type { Cancel, Clock, EpochMs, Logger, Metrics, Random, Scheduler } from "../base/mod.ts";
import type { SharedAttempts } from "./attempts.ts";
import type { Key, SavedSession, User } from "./records.ts";

/**
 * On disk when a call returns. Opened for one tenant. All of it fits memory: the limits of `LIMITS.people` bound it. Other
 * platforms may write to the same people; what decides something about them is looked at and changed within `atomically`.
 */
export interface PeopleStore {
  /** All there is. */
  load(): StoredPeople;
  /** All there is, soon after another platform has changed something of it. */
  onNews(listener: (now: StoredPeople) => void): Cancel;
  /**
   * All or nothing; nobody else changes anything until it returns. `now`: all there is, where it is not what was told last;
   * null: it is.
   */
  atomically<T>(work: (now: StoredPeople | null) => T): T;
  putUser(user: User): void;
  /** With all that is his: keys and sessions. */
  deleteUser(name: string): void;
  putKey(key: Key): void;
  deleteKey(id: string): void;
  putSession(session: SavedSession): void;
  deleteSessions(ids: readonly string[]): void;
  /** Those that have ended, or were last seen before; returns their ids. */
  deleteSessionsOver(now: EpochMs, unseenSince: EpochMs): readonly string[];
  /** Only when they were last used, of those that are still there; told to nobody. */
  touchKeys(keys: readonly Key[]): void;
  touchSessions(sessions: readonly SavedSession[]): void;
}

export interface StoredPeople {
  readonly users: readonly User[];
  readonly keys: readonly Key[];
  readonly sessions: readonly SavedSession[];
}

/** Slow on purpose. Its results carry their parameters. */
export interface PasswordHasher {
  hash(password: string): Promise<string>;
  /** `outdated`: right, but made with other parameters than `hash` would use now. Rejects TOO_MANY_REQUESTS when too many wait. */
  verify(password: string, stored: string): Promise<"wrong" | "right" | "outdated">;
}

export interface Sealing {
  /** Lower-case hex. */
  sha256(text: string): string;
  /** Lower-case hex; keyed with a secret of the platform. */
  hmac(text: string): string;
  /** Encrypts for the disk; opens only together with the same `about`. */
  seal(text: string, about: string): string;
  /** Null where it was sealed with another key, or altered. */
  open(sealed: string, about: string): string | null;
}

export interface PeoplePorts {
  readonly store: PeopleStore;
  /** Where several platforms count failed log-ins together; by itself each counts its own. */
  readonly attempts?: SharedAttempts | undefined;
  readonly passwords: PasswordHasher;
  readonly sealing: Sealing;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The platform's own administrator token. */
  readonly token: TokenFile;
}

/** Of this platform alone. */
export interface TokenFile {
  read(): string;
  /** Durable when it returns. */
  write(token: string): void;
  /** SHA-256 of the token that is not taken any more; null: none ever was. */
  revoked(): string | null;
  /** Durable when it returns. */
  revoke(hash: string): void;
}

/** Runs `work` while nobody else changes people, with all that others have changed known here. */
export type Alone = <T>(work: () => T) => T;
