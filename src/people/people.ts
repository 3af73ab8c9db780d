/** Everybody who may ask the API: users, their dashboards and keys, and the platform's own token. */
import { LIMITS, TidewireError, reasonOf } from "../base/mod.ts";
import type { Cancel, Counter, EpochMs } from "../base/mod.ts";
import type { Actor, Identity } from "./actor.ts";
import { Keys } from "./keys.ts";
import type { KeyFacts } from "./keys.ts";
import { permissionsOf } from "./permissions.ts";
import type { Permission } from "./permissions.ts";
import type { Alone, PeoplePorts, StoredPeople } from "./ports.ts";
import { equalHashes, randomText } from "./secrets.ts";
import { SessionBook } from "./sessions.ts";
import type { SessionFacts } from "./sessions.ts";
import { Users } from "./users.ts";

/** Of its hash: enough to tell two tokens apart, in logs too. */
const TOKEN_MARK_CHARS = 12;

export class People {
  readonly users: Users;
  readonly sessions: SessionBook;
  readonly keys: Keys;
  readonly #ports: PeoplePorts;
  readonly #listeners = new Set<() => void>();
  readonly #cancels: readonly Cancel[];
  readonly #saveFailures: Counter;
  /** One-time login code → when it ends. Only in memory: a restart prints a new link. */
  readonly #codes = new Map<string, EpochMs>();
  #revokedToken: string | null;
  #tokenHash: string;

  constructor(ports: PeoplePorts) {
    this.#ports = ports;
    const alone: Alone = (work) => this.#alone(work);
    const { users, keys, sessions } = ports.store.load();
    this.users = new Users(ports, alone, users, (user) => this.#userChanged(user));
    const isUser = (name: string): boolean => this.users.has(name);
    this.sessions = new SessionBook(ports, alone, sessions, isUser);
    this.keys = new Keys(ports, alone, keys, isUser);
    this.#revokedToken = ports.token.revoked();
    this.#tokenHash = ports.sealing.sha256(ports.token.read());
    this.#saveFailures = ports.metrics.counter({
      name: "tidewire_people_save_failures_total",
      help: "Times that last uses of sessions and keys could not be written to disk; it is tried again",
    });
    this.#cancels = [
      ports.scheduler.every(LIMITS.people.lastSeenSavedEvery, () => this.flush()),
      ports.store.onNews((now) => {
        this.#take(now);
        this.changed();
      }),
    ];
  }

  close(): void {
    for (const cancel of this.#cancels) cancel();
    this.flush();
  }

  /** Told when a session, key or right may have ended: whoever holds an actor asks `again`. */
  onChange(listener: () => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ── who is it ────────────────────────────────────────────────────────────────────────────────

  byToken(token: string, address: string): Actor | null {
    if (this.isPlatformToken(token)) return this.#actor({ kind: "token", session: null, mark: this.#tokenMark });
    const key = this.keys.byToken(token);
    return key === null ? null : this.#byKey(key, address);
  }

  byCookie(value: string): { readonly actor: Actor; readonly session: SessionFacts } | null {
    const session = this.sessions.find(value);
    if (session === null) return null;
    const { user, id } = session;
    const actor = this.#actor(user === null ? { kind: "token", session: id } : { kind: "user", user, session: id });
    if (actor === null) return null;
    this.sessions.touch(id);
    return { actor, session };
  }

  /** The secret verifies the request's signature; only then the actor is one. */
  bySigner(id: string, address: string): { readonly secret: string; readonly actor: () => Actor | null } | null {
    const found = this.keys.bySigner(id);
    return found === null ? null : { secret: found.secret, actor: () => this.#byKey(found.key, address) };
  }

  /** What an access key's MQTT connections may do; null where it works no more, or its owner may not give such rights any more. */
  mqttRightsOf(id: string): { readonly policies: readonly string[]; readonly expiresAt: EpochMs | null } | null {
    const key = this.keys.again(id);
    if (key === null || key.kind !== "access") return null;
    const rights = this.#rightsOf({ kind: "access-key", key: id, name: key.name, owner: key.owner });
    return rights?.has("policies:write") === true ? { policies: key.policies, expiresAt: key.expiresAt } : null;
  }

  /** What somebody is now who was somebody before; null: nobody. */
  again({ identity }: Actor): Actor | null {
    if (identity.kind === "api-key" || identity.kind === "access-key") {
      const key = this.keys.again(identity.key);
      return key === null ? null : this.#actor(identity, key);
    }
    if (identity.kind === "token" && identity.session === null) {
      if (identity.mark !== this.#tokenMark) return null; // of a token that was replaced nothing is left
    } else if (identity.kind === "token" || identity.kind === "user") {
      if (this.sessions.get(identity.session) === null) return null;
    }
    return this.#actor(identity);
  }

  #byKey(key: KeyFacts, address: string): Actor | null {
    const { id, name, owner } = key;
    const actor = this.#actor({ kind: key.kind === "api" ? "api-key" : "access-key", key: id, name, owner }, key);
    if (actor !== null) this.keys.touch(id, address);
    return actor;
  }

  #actor(identity: Identity, key: KeyFacts | null = null): Actor | null {
    const rights = this.#rightsOf(identity);
    if (rights === null) return null;
    if (key === null) return { identity, permissions: rights, things: null };
    const permissions = new Set(key.permissions.filter((permission) => rights.has(permission)));
    return { identity, permissions, things: key.things };
  }

  /** Of the account behind it. */
  #rightsOf(identity: Identity): ReadonlySet<Permission> | null {
    switch (identity.kind) {
      case "token":
        return this.isTokenRevoked ? null : permissionsOf("administrator");
      case "user":
        return this.#rightsOfUser(identity.user);
      case "api-key":
      case "access-key":
        return identity.owner === null ? permissionsOf("administrator") : this.#rightsOfUser(identity.owner);
      case "device":
      case "system":
        return null;
    }
  }

  #rightsOfUser(name: string): ReadonlySet<Permission> | null {
    const role = this.users.roleOf(name);
    return role === null ? null : permissionsOf(role);
  }

  // ── the platform's token ─────────────────────────────────────────────────────────────────────

  /** Tells whether it is still the same token; nothing can be made of it. */
  get #tokenMark(): string {
    return this.#tokenHash.slice(0, TOKEN_MARK_CHARS);
  }

  isPlatformToken(token: string): boolean {
    return equalHashes(this.#ports.sealing.sha256(token), this.#tokenHash) && !this.isTokenRevoked;
  }

  /** A new token, made by whoever may write `secrets/`, is taken again. */
  get isTokenRevoked(): boolean {
    return this.#revokedToken === this.#tokenHash;
  }

  /** The old one ends now, with every dashboard that was opened with it; the new one is in `secrets/`, too. */
  rotateToken(): string {
    const token = `tw_${randomText(this.#ports.random, 43)}`;
    this.#ports.token.write(token);
    this.#tokenHash = this.#ports.sealing.sha256(token);
    this.#tokenEnded();
    return token;
  }

  /** Throws LAST_ADMINISTRATOR where nobody else could do what it does. */
  revokeToken(): void {
    if (!this.users.hasAdministrator) throw new TidewireError("LAST_ADMINISTRATOR", { name: "the platform's token" });
    this.#ports.token.revoke(this.#tokenHash);
    this.#revokedToken = this.#tokenHash;
    this.#tokenEnded();
  }

  #tokenEnded(): void {
    this.#codes.clear();
    this.sessions.end(({ user }) => user === null);
    this.changed();
  }

  /** A one-time code for the login link. */
  issueCode(): string {
    const code = randomText(this.#ports.random, 32);
    const now = this.#ports.clock.now();
    for (const [old, endsAt] of this.#codes) {
      // In order of their making, so the first ones are the oldest.
      if (endsAt >= now && this.#codes.size < LIMITS.http.loginCodesMax) break;
      this.#codes.delete(old);
    }
    this.#codes.set(code, now + LIMITS.http.loginCodeLifetime);
    return code;
  }

  /** Takes the code; it never works again. Throws LOGIN_CODE_INVALID. */
  redeemCode(code: string): void {
    const endsAt = this.#codes.get(code);
    this.#codes.delete(code);
    if (endsAt === undefined || endsAt < this.#ports.clock.now()) throw new TidewireError("LOGIN_CODE_INVALID");
  }

  // ── changes ──────────────────────────────────────────────────────────────────────────────────

  endSessions(which: (session: SessionFacts) => boolean): number {
    const ended = this.sessions.end(which);
    if (ended > 0) this.changed();
    return ended;
  }

  revokeKey(id: string): KeyFacts {
    const key = this.keys.revoke(id);
    this.changed();
    return key;
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #alone<T>(work: () => T): T {
    let news = false;
    try {
      return this.#ports.store.atomically((now) => {
        if (now !== null) this.#take(now);
        news = now !== null;
        return work();
      });
    } finally {
      if (news) this.changed();
    }
  }

  /** What others have made of it. */
  #take({ users, keys, sessions }: StoredPeople): void {
    this.users.take(users);
    this.keys.take(keys);
    this.sessions.take(sessions);
  }

  /** Keys go on with what is left of their owner's rights; dashboards must log in again. */
  #userChanged(user: string): void {
    this.sessions.end((session) => session.user === user);
    if (this.users.list().every(({ name }) => name !== user)) this.keys.forgetOwner(user);
    this.changed();
  }

  flush(): void {
    try {
      this.#ports.attempts?.sweep();
      this.keys.flush();
      const { over, stale } = this.sessions.flush();
      if (stale) this.#take(this.#ports.store.load());
      if (over > 0) this.changed();
    } catch (error) {
      this.#saveFailures.value++;
      this.#ports.logger.warn("Last uses of sessions and keys cannot be saved.", { reason: reasonOf(error) });
    }
  }
}
