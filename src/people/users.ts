/** The people who may log in with a name and a password. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { Counter, EpochMs } from "../base/mod.ts";
import { Attempts, OF_PEOPLE } from "./attempts.ts";
import { normalPassword, passwordFault } from "./password-rules.ts";
import { ROLES, isRole } from "./permissions.ts";
import type { Role } from "./permissions.ts";
import type { Alone, PeoplePorts } from "./ports.ts";
import type { User } from "./records.ts";
import { equalHashes, randomText } from "./secrets.ts";

/** What others may know of a user. */
export interface UserFacts {
  readonly name: string;
  readonly role: Role;
  readonly state: "active" | "invited" | "disabled";
  readonly createdAt: EpochMs;
  readonly lastLoginAt: EpochMs | null;
  readonly passwordChangedAt: EpochMs | null;
}

export interface Invitation {
  /** Shown once. */
  readonly code: string;
  readonly expiresAt: EpochMs;
}

/** Why a log-in was refused: for the audit log only, never for who tried. */
export type LoginFailure = "unknown-user" | "wrong-password" | "disabled" | "no-password" | "too-often";

/** A refused log-in's reason travels beside the error, which says the same to everybody. */
export type LoginResult =
  | { readonly ok: true; readonly user: UserFacts }
  | { readonly ok: false; readonly why: LoginFailure; readonly error: TidewireError };

const NAME = /^[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?$/;

export class Users {
  readonly #ports: PeoplePorts;
  /** `LIMITS.people.usersMax` at most. */
  #users: Map<string, User>;
  readonly #alone: Alone;
  readonly #attempts: Attempts;
  readonly #failed: ReadonlyMap<LoginFailure, Counter>;
  readonly #succeeded: Counter;
  readonly #changed: (user: string) => void;
  /** Verified where there is no such user, so that it takes as long. */
  #decoy: Promise<string> | null = null;

  /** `changed` is told of a user whose sessions and keys may not be worth what they were. */
  constructor(ports: PeoplePorts, alone: Alone, users: readonly User[], changed: (user: string) => void) {
    this.#ports = ports;
    this.#alone = alone;
    this.#users = new Map(users.map((user) => [user.name, user]));
    this.#changed = changed;
    const { metrics } = ports;
    this.#attempts = new Attempts(ports.clock, metrics, OF_PEOPLE, ports.attempts ?? null);
    const reasons = ["unknown-user", "wrong-password", "disabled", "no-password", "too-often"] as const;
    this.#failed = new Map(
      reasons.map((reason) => [
        reason,
        metrics.counter({
          name: "tidewire_logins_failed_total",
          help: "Log-ins with a password that were refused, by reason",
          labels: { reason },
        }),
      ]),
    );
    this.#succeeded = metrics.counter({
      name: "tidewire_logins_total",
      help: "Log-ins with a password that succeeded",
    });
    metrics.observe({ name: "tidewire_users", help: "Users, disabled ones included" }, () => this.#users.size);
  }

  /** All that there are now. */
  take(users: readonly User[]): void {
    this.#users = new Map(users.map((user) => [user.name, user]));
  }

  has(name: string): boolean {
    return this.#users.has(name);
  }

  list(): readonly UserFacts[] {
    return [...this.#users.values()].map(factsOf).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Null where there is none, or he may not log in now. */
  roleOf(name: string): Role | null {
    const user = this.#users.get(name);
    return user === undefined || user.disabled ? null : user.role;
  }

  /** Throws NOT_FOUND. */
  get(name: string): UserFacts {
    return factsOf(this.#of(name));
  }

  /** Throws USER_INVALID, ALREADY_EXISTS. */
  invite(given: string, role: string): { readonly user: UserFacts; readonly invitation: Invitation } {
    const name = given.trim().toLowerCase();
    if (!NAME.test(name)) {
      throw new TidewireError("USER_INVALID", {
        reason: "a name is 1 to 64 of a-z 0-9 . _ @ + -, and begins and ends with a letter or digit",
      });
    }
    const wanted = roleNamed(role);
    return this.#inviteAs(name, () => {
      if (this.#users.has(name)) throw new TidewireError("ALREADY_EXISTS", { kind: "user", name });
      if (this.#users.size >= LIMITS.people.usersMax) {
        throw new TidewireError("USER_INVALID", { reason: `there are ${LIMITS.people.usersMax} users already` });
      }
      return {
        name,
        role: wanted,
        disabled: false,
        password: null,
        passwordChangedAt: null,
        createdAt: this.#ports.clock.now(),
        lastLoginAt: null,
      };
    });
  }

  /** Ends the password and makes an invitation in its place. Throws NOT_FOUND, LAST_ADMINISTRATOR. */
  reset(given: string): { readonly user: UserFacts; readonly invitation: Invitation } {
    const { name } = this.#of(given);
    const result = this.#inviteAs(name, () => {
      const user = this.#of(name);
      this.#keepOne(user);
      return { ...user, password: null };
    });
    this.#changed(name);
    return result;
  }

  #inviteAs(
    name: string,
    wanted: () => Omit<User, "invitation">,
  ): { readonly user: UserFacts; readonly invitation: Invitation } {
    const code = randomText(this.#ports.random, 32);
    const expiresAt = this.#ports.clock.now() + LIMITS.people.invitationLifetime;
    const invitation = { hash: this.#ports.sealing.sha256(code), expiresAt };
    const user = this.#put(() => ({ ...wanted(), name, invitation }));
    return { user, invitation: { code, expiresAt } };
  }

  /** Who an invitation is for. Throws INVITATION_INVALID. */
  invited(code: string): UserFacts {
    return factsOf(this.#invitedBy(code));
  }

  #invitedBy(code: string): User {
    const hash = this.#ports.sealing.sha256(code);
    const now = this.#ports.clock.now();
    let found: User | null = null;
    for (const user of this.#users.values()) {
      const { invitation } = user;
      if (invitation !== null && invitation.expiresAt > now && equalHashes(invitation.hash, hash)) found = user;
    }
    if (found === null || found.disabled) throw new TidewireError("INVITATION_INVALID");
    return found;
  }

  /** Takes the invitation; it never works again. Throws INVITATION_INVALID, PASSWORD_UNFIT. */
  async accept(code: string, password: string): Promise<UserFacts> {
    const { name } = this.#invitedBy(code);
    const hash = await this.#hash(password, name);
    const now = this.#ports.clock.now();
    const taken = { password: hash, passwordChangedAt: now, invitation: null, lastLoginAt: now };
    // It may have been taken meanwhile, here or elsewhere, or the user is gone.
    return this.#put(() => ({ ...this.#invitedBy(code), ...taken }));
  }

  /** As long for a name that nobody has as for one with a wrong password. Rejects TOO_MANY_REQUESTS. */
  async login(given: string, password: string, address: string): Promise<LoginResult> {
    const name = given.trim().toLowerCase().slice(0, 64);
    const wait = this.#attempts.claim(name, address);
    if (wait > 0)
      return this.#refused("too-often", new TidewireError("LOGIN_TOO_OFTEN", { retryAfter: inWords(wait) }));
    const stored = this.#users.get(name)?.password ?? null;
    const outcome = await this.#ports.passwords.verify(normalPassword(password), stored ?? (await this.#decoyHash()));
    const right = outcome !== "wrong";
    const why = failureOf(this.#users.get(name), stored, right) ?? this.#noteLogin(name, stored);
    if (why !== null) return this.#refused(why, new TidewireError("LOGIN_REFUSED"));
    this.#attempts.succeeded(name, address);
    this.#succeeded.value++;
    if (outcome === "outdated") await this.#rehash(name, password, stored!);
    return { ok: true, user: this.get(name) };
  }

  /** Looks once more: another platform may have ended the password, or the user. */
  #noteLogin(name: string, stored: string | null): LoginFailure | null {
    let why: LoginFailure | null = null;
    this.#change(name, (user) => {
      why = failureOf(user, stored, true);
      return why !== null || user === undefined ? undefined : { ...user, lastLoginAt: this.#ports.clock.now() };
    });
    return why;
  }

  #refused(why: LoginFailure, error: TidewireError): LoginResult {
    this.#failed.get(why)!.value++;
    return { ok: false, why, error };
  }

  /** The parameters have changed since it was made. */
  async #rehash(name: string, password: string, stored: string): Promise<void> {
    const hash = await this.#ports.passwords.hash(normalPassword(password));
    this.#change(name, (user) => (user?.password === stored ? { ...user, password: hash } : undefined));
  }

  /** The user himself; `current` is asked for so that an open dashboard is not enough. */
  async changePassword(name: string, current: string, password: string, address: string): Promise<LoginResult> {
    const checked = await this.login(name, current, address);
    if (!checked.ok) return checked;
    const hash = await this.#hash(password, name);
    return {
      ok: true,
      user: this.#put(() => {
        const changed = { password: hash, passwordChangedAt: this.#ports.clock.now(), invitation: null };
        return { ...this.#of(name), ...changed };
      }),
    };
  }

  /** Throws NOT_FOUND, USER_INVALID, LAST_ADMINISTRATOR. */
  setRole(name: string, role: string): UserFacts {
    const next = roleNamed(role);
    if (this.#of(name).role === next) return this.get(name);
    const facts = this.#put(() => {
      const user = this.#of(name);
      if (next !== user.role) this.#keepOne(user);
      return { ...user, role: next };
    });
    this.#changed(facts.name);
    return facts;
  }

  /** Throws NOT_FOUND, LAST_ADMINISTRATOR. */
  setDisabled(name: string, disabled: boolean): UserFacts {
    const facts = this.#put(() => {
      const user = this.#of(name);
      if (disabled) this.#keepOne(user);
      return { ...user, disabled };
    });
    if (disabled) this.#changed(facts.name);
    return facts;
  }

  /** Throws NOT_FOUND, LAST_ADMINISTRATOR. */
  delete(name: string): void {
    const user = this.#alone(() => {
      const found = this.#of(name);
      this.#keepOne(found);
      this.#ports.store.deleteUser(found.name);
      return found;
    });
    this.#users.delete(user.name);
    this.#changed(user.name);
  }

  /** Whether somebody could put things right without the platform's token. */
  get hasAdministrator(): boolean {
    return [...this.#users.values()].some(isWorkingAdministrator);
  }

  #keepOne(user: User): void {
    if (!isWorkingAdministrator(user)) return;
    const others = [...this.#users.values()].some((one) => one.name !== user.name && isWorkingAdministrator(one));
    if (!others) throw new TidewireError("LAST_ADMINISTRATOR", { name: user.name });
  }

  async #hash(password: string, name: string): Promise<string> {
    const fault = passwordFault(password, name);
    if (fault !== null) throw new TidewireError("PASSWORD_UNFIT", { reason: fault });
    return this.#ports.passwords.hash(normalPassword(password));
  }

  #decoyHash(): Promise<string> {
    this.#decoy ??= this.#ports.passwords.hash(randomText(this.#ports.random, 32)).catch((error: unknown) => {
      this.#decoy = null;
      throw error;
    });
    return this.#decoy;
  }

  #of(name: string): User {
    const user = this.#users.get(name.trim().toLowerCase());
    if (user === undefined) throw new TidewireError("NOT_FOUND", { kind: "user", name: name.slice(0, 64) });
    return user;
  }

  #put(wanted: () => User): UserFacts {
    const user = this.#alone(() => {
      const made = wanted();
      this.#ports.store.putUser(made);
      return made;
    });
    this.#users.set(user.name, user); // only what is on disk
    return factsOf(user);
  }

  /** Undefined: nothing is changed. */
  #change(name: string, change: (user: User | undefined) => User | undefined): void {
    const user = this.#alone(() => {
      const made = change(this.#users.get(name));
      if (made !== undefined) this.#ports.store.putUser(made);
      return made;
    });
    if (user !== undefined) this.#users.set(user.name, user);
  }
}

function isWorkingAdministrator(user: User): boolean {
  return user.role === "administrator" && !user.disabled && user.password !== null;
}

/** `stored`: what was verified, which may have been replaced while it was. */
function failureOf(user: User | undefined, stored: string | null, right: boolean): LoginFailure | null {
  if (user === undefined) return "unknown-user";
  if (user.password === null || stored === null) return "no-password";
  if (!right || user.password !== stored) return "wrong-password";
  return user.disabled ? "disabled" : null;
}

function roleNamed(text: string): Role {
  if (isRole(text)) return text;
  throw new TidewireError("USER_INVALID", { reason: `a role is one of ${ROLES.join(", ")}` });
}

function factsOf({ name, role, disabled, password, createdAt, lastLoginAt, passwordChangedAt }: User): UserFacts {
  const state = disabled ? "disabled" : password === null ? "invited" : "active";
  return { name, role, state, createdAt, lastLoginAt, passwordChangedAt };
}

function inWords(wait: number): string {
  const seconds = Math.ceil(wait / 1000);
  return seconds < 90 ? `${seconds} s` : `${Math.ceil(seconds / 60)} minutes`;
}
