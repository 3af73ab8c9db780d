/** The people who may log in with a name and a password. */
import { LIMITS, TidewireError } from "../base/mod.ts";
import type { Counter, EpochMs } from "../base/mod.ts";
import { Attempts } from "./attempts.ts";
import { normalPassword, passwordFault } from "./password-rules.ts";
import { ROLES, isRole } from "./permissions.ts";
import type { Role } from "./permissions.ts";
import type { PeoplePorts } from "./ports.ts";
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
  readonly #users: Map<string, User>;
  readonly #attempts: Attempts;
  readonly #failed: ReadonlyMap<LoginFailure, Counter>;
  readonly #succeeded: Counter;
  readonly #changed: (user: string) => void;
  /** Verified where there is no such user, so that it takes as long. */
  #decoy: Promise<string> | null = null;

  /** `changed` is told of a user whose sessions and keys may not be worth what they were. */
  constructor(ports: PeoplePorts, users: readonly User[], changed: (user: string) => void) {
    this.#ports = ports;
    this.#users = new Map(users.map((user) => [user.name, user]));
    this.#changed = changed;
    const { metrics } = ports;
    this.#attempts = new Attempts(ports.clock, metrics);
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
    if (this.#users.has(name)) throw new TidewireError("ALREADY_EXISTS", { kind: "user", name });
    if (this.#users.size >= LIMITS.people.usersMax) {
      throw new TidewireError("USER_INVALID", { reason: `there are ${LIMITS.people.usersMax} users already` });
    }
    const user: User = {
      name,
      role: roleNamed(role),
      disabled: false,
      password: null,
      passwordChangedAt: null,
      invitation: null,
      createdAt: this.#ports.clock.now(),
      lastLoginAt: null,
    };
    return this.#inviteAs(user);
  }

  /** Ends the password and makes an invitation in its place. Throws NOT_FOUND, LAST_ADMINISTRATOR. */
  reset(name: string): { readonly user: UserFacts; readonly invitation: Invitation } {
    const user = this.#of(name);
    this.#keepOne(user);
    const result = this.#inviteAs({ ...user, password: null });
    this.#changed(user.name);
    return result;
  }

  #inviteAs(user: User): { readonly user: UserFacts; readonly invitation: Invitation } {
    const code = randomText(this.#ports.random, 32);
    const expiresAt = this.#ports.clock.now() + LIMITS.people.invitationLifetime;
    const invited = { ...user, invitation: { hash: this.#ports.sealing.sha256(code), expiresAt } };
    this.#put(invited);
    return { user: factsOf(invited), invitation: { code, expiresAt } };
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
    // It may have been taken meanwhile, or the user is gone.
    const user = this.#invitedBy(code);
    const now = this.#ports.clock.now();
    return this.#put({ ...user, password: hash, passwordChangedAt: now, invitation: null, lastLoginAt: now });
  }

  /** As long for a name that nobody has as for one with a wrong password. Rejects TOO_MANY_REQUESTS. */
  async login(given: string, password: string, address: string): Promise<LoginResult> {
    const name = given.trim().toLowerCase().slice(0, 64);
    const wait = this.#attempts.claim(name, address);
    if (wait > 0)
      return this.#refused("too-often", new TidewireError("LOGIN_TOO_OFTEN", { retryAfter: inWords(wait) }));
    const stored = this.#users.get(name)?.password ?? null;
    const outcome = await this.#ports.passwords.verify(normalPassword(password), stored ?? (await this.#decoyHash()));
    const user = this.#users.get(name);
    const why = failureOf(user, stored, outcome !== "wrong");
    if (why !== null) return this.#refused(why, new TidewireError("LOGIN_REFUSED"));
    this.#attempts.succeeded(name, address);
    this.#succeeded.value++;
    if (outcome === "outdated") await this.#rehash(name, password, stored!);
    return { ok: true, user: this.#put({ ...this.#of(name), lastLoginAt: this.#ports.clock.now() }) };
  }

  #refused(why: LoginFailure, error: TidewireError): LoginResult {
    this.#failed.get(why)!.value++;
    return { ok: false, why, error };
  }

  /** The parameters have changed since it was made. */
  async #rehash(name: string, password: string, stored: string): Promise<void> {
    const hash = await this.#ports.passwords.hash(normalPassword(password));
    const user = this.#users.get(name);
    if (user?.password === stored) this.#put({ ...user, password: hash });
  }

  /** The user himself; `current` is asked for so that an open dashboard is not enough. */
  async changePassword(name: string, current: string, password: string, address: string): Promise<LoginResult> {
    const checked = await this.login(name, current, address);
    if (!checked.ok) return checked;
    const hash = await this.#hash(password, name);
    return {
      ok: true,
      user: this.#put({
        ...this.#of(name),
        password: hash,
        passwordChangedAt: this.#ports.clock.now(),
        invitation: null,
      }),
    };
  }

  /** Throws NOT_FOUND, USER_INVALID, LAST_ADMINISTRATOR. */
  setRole(name: string, role: string): UserFacts {
    const user = this.#of(name);
    const next = roleNamed(role);
    if (next === user.role) return factsOf(user);
    this.#keepOne(user);
    const facts = this.#put({ ...user, role: next });
    this.#changed(user.name);
    return facts;
  }

  /** Throws NOT_FOUND, LAST_ADMINISTRATOR. */
  setDisabled(name: string, disabled: boolean): UserFacts {
    const user = this.#of(name);
    if (disabled) this.#keepOne(user);
    const facts = this.#put({ ...user, disabled });
    if (disabled) this.#changed(user.name);
    return facts;
  }

  /** Throws NOT_FOUND, LAST_ADMINISTRATOR. */
  delete(name: string): void {
    const user = this.#of(name);
    this.#keepOne(user);
    this.#ports.store.deleteUser(user.name);
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

  #put(user: User): UserFacts {
    this.#ports.store.putUser(user);
    this.#users.set(user.name, user);
    return factsOf(user);
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
