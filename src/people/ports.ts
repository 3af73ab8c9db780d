/** What people and keys need from the outside. */
import type { Clock, Logger, Metrics, Random, Scheduler } from "../base/mod.ts";
import type { Key, SavedSession, User } from "./records.ts";

/** On disk when a call returns. Opened for one tenant. All of it fits memory: the limits of `LIMITS.people` bound it. */
export interface PeopleStore {
  load(): StoredPeople;
  putUser(user: User): void;
  /** With all that is his: keys and sessions. */
  deleteUser(name: string): void;
  putKey(key: Key): void;
  deleteKey(id: string): void;
  putSessions(sessions: readonly SavedSession[]): void;
  deleteSessions(ids: readonly string[]): void;
  /** SHA-256 of the platform's token that is not taken any more. */
  revokeToken(hash: string): void;
}

export interface StoredPeople {
  readonly users: readonly User[];
  readonly keys: readonly Key[];
  readonly sessions: readonly SavedSession[];
  readonly revokedToken: string | null;
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

export interface TokenFile {
  read(): string;
  /** Durable when it returns. */
  write(token: string): void;
}
